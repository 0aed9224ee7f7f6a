import type { WindowFilter } from '../../spi/chunk-source.ts';
import type { LeafDefinition, TableDefinition } from '../../spi/tables.ts';
import type { Session } from '../connection.ts';
import { quoteIdent } from '../identifiers.ts';

/** What a bound says of the window's column. Null = open. */
interface Extent {
  /** Position of the leaf. */
  readonly leaf: number;
  readonly from: string | null;
  readonly to: string | null;
  /** Whether `to` itself may occur: in a list, and where further key columns follow. */
  readonly toIncluded: boolean;
}

/**
 * Leaves that can hold rows of the window. The server compares, all bounds in one statement; a bound that says
 * nothing certain about the column (a default, a hash, an expression, text with a collation) keeps its leaf.
 */
export async function leavesInWindow(
  session: Session,
  table: TableDefinition,
  window: WindowFilter,
): Promise<readonly LeafDefinition[]> {
  const column = table.columns.find(({ name }) => name === window.column);
  if (column === undefined || !(column.comparesExactly || column.type.startsWith('numeric')))
    return table.leaves;
  const extents = table.leaves.flatMap((leaf, index) => extentsOf(leaf, index, window.column));
  const outside = await leavesOutside(session, extents, { window, type: column.type });
  return table.leaves.filter((_, index) => !outside.has(index));
}

/** A leaf is out when one level puts all its rows out: every value of a list, or the range. */
async function leavesOutside(
  session: Session,
  extents: readonly Extent[],
  { window, type }: { readonly window: WindowFilter; readonly type: string },
): Promise<ReadonlySet<number>> {
  if (extents.length === 0) return new Set();
  const rows = await session.query<{ readonly leaf: number }>(
    `SELECT leaf FROM unnest($1::int[], $2::text[], $3::text[], $4::bool[]) AS e(leaf, low, high, included)
      GROUP BY leaf
     HAVING bool_and(coalesce(low::${type} >= $6::text::${type}, false)
         OR coalesce(CASE WHEN included THEN high::${type} < $5::text::${type} ELSE high::${type} <= $5::text::${type} END, false))`,
    [
      extents.map((extent) => extent.leaf),
      extents.map((extent) => extent.from),
      extents.map((extent) => extent.to),
      extents.map((extent) => extent.toIncluded),
      window.from,
      window.to,
    ],
  );
  return new Set(rows.map((row) => row.leaf));
}

/** Of the first level that is about the column; a range gives one extent, a list one for each value. */
function extentsOf(leaf: LeafDefinition, index: number, column: string): Extent[] {
  const names = [column, quoteIdent(column)];
  const level = (leaf.partitionedBy ?? []).findIndex((key) =>
    names.some((name) => new RegExp(`^(RANGE|LIST) \\(${escapeRegExp(name)}[,)]`).test(key)),
  );
  const key = leaf.partitionedBy?.[level];
  const bound = leaf.bounds[level];
  if (key === undefined || bound === undefined) return [];
  if (key.startsWith('LIST')) {
    const values = /^FOR VALUES IN \((.*)\)$/s.exec(bound)?.[1];
    if (values === undefined) return [];
    // NULL is in no window.
    return splitValues(values)
      .filter((value) => value !== null)
      .map((value) => ({ leaf: index, from: value, to: value, toIncluded: true }));
  }
  const range = /^FOR VALUES FROM \((.*)\) TO \((.*)\)$/s.exec(bound);
  if (range === null) return [];
  const from = splitValues(range[1] ?? '')[0] ?? null;
  const highs = splitValues(range[2] ?? '');
  return [{ leaf: index, from, to: highs[0] ?? null, toIncluded: highs.length > 1 }];
}

/** Literals of a bound as text; MINVALUE, MAXVALUE and NULL as null. */
function splitValues(list: string): (string | null)[] {
  const values = list.match(/(?:[^',]|'(?:[^']|'')*')+/g) ?? [];
  return values.map((value) => {
    const trimmed = value.trim();
    if (['MINVALUE', 'MAXVALUE', 'NULL'].includes(trimmed)) return null;
    const quoted = /^'(.*)'$/s.exec(trimmed)?.[1];
    return quoted === undefined ? trimmed : quoted.replaceAll("''", "'");
  });
}

function escapeRegExp(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, (char) => `\\${char}`);
}
