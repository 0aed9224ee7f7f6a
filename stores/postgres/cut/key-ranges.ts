import type { CutOptions, KeyRange } from '../../spi/chunk-source.ts';
import type { LeafDefinition, TableDefinition } from '../../spi/tables.ts';
import type { Session } from '../connection.ts';
import { quoteColumns, quoteIdent, quoteLiteral, quoteName } from '../identifiers.ts';

/** Up to this size every key is read, in the order of the index; above, a sample of the blocks says enough. */
const exactUpToBytes = 1024 ** 3;
/** Rows of the sample for each slice: the sizes of slices then differ by about a tenth. */
const sampledRowsPerSlice = 100;
const smallestSampleRows = 100_000;

/** Types whose text form gives back the very value and whose order is the server's alone to know. */
const sliceableType =
  /^(smallint|integer|bigint|oid|numeric|real|double precision|text|character|name|uuid|date|time|bytea|boolean|inet|cidr|macaddr|bit)/;

export interface Slices {
  readonly ranges: readonly (KeyRange | null)[];
  /** Share of the leaf's rows that filter and window let through, 0 to 1. */
  readonly share: number;
}

const whole: Slices = { ranges: [null], share: 1 };

/** Cuts one leaf; whole where it is small, or no key of its own in the right order can carry the ranges. */
export async function cutLeaf(
  session: Session,
  table: TableDefinition,
  cut: { readonly leaf: LeafDefinition; readonly options: CutOptions },
): Promise<Slices> {
  const { leaf, options } = cut;
  const key = sliceableKey(table);
  if (key === null || leaf.bytes <= options.chunkBytes || !(await hasIndex(session, leaf, key))) return whole;
  const slices = Math.ceil(leaf.bytes / options.chunkBytes);
  const rows = leaf.rows > 0 ? leaf.rows : leaf.bytes / 100;
  const sampleRows = Math.max(smallestSampleRows, slices * sampledRowsPerSlice);
  const filter = filterOf(table, options);
  const source: KeySource = { key, from: `ONLY ${quoteName(leaf.name)}`, filter };
  const found =
    leaf.bytes <= exactUpToBytes || sampleRows > rows * 0.3
      ? await exactBounds(session, source, slices)
      : await sampledBounds(session, source, { slices, percent: (100 * sampleRows) / rows });
  return { ranges: toRanges(key, found.bounds), share: found.share };
}

interface KeySource {
  readonly key: readonly string[];
  readonly from: string;
  readonly filter: string | null;
}

interface Bounds {
  readonly bounds: readonly (readonly string[])[];
  readonly share: number;
}

function sliceableKey(table: TableDefinition): readonly string[] | null {
  if (table.key === null) return null;
  const columns = new Map(table.columns.map((column) => [column.name, column]));
  const fits = table.key.every((name) => {
    const column = columns.get(name);
    return (
      column?.notNull === true &&
      !column.type.endsWith(']') &&
      (column.comparesExactly || sliceableType.test(column.type))
    );
  });
  return fits ? table.key : null;
}

/** Without an index in this order each slice would read the whole leaf. */
async function hasIndex(session: Session, leaf: LeafDefinition, key: readonly string[]): Promise<boolean> {
  const [row] = await session.query<{ readonly found: boolean }>(
    `SELECT EXISTS (
       SELECT FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid JOIN pg_am am ON am.oid = ic.relam
        WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
          AND i.indexprs IS NULL AND am.amname = 'btree' AND i.indnkeyatts = cardinality($2::text[])
          AND (SELECT array_agg(a.attname::text ORDER BY k.position)
                 FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, position)
                 JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                WHERE k.position <= i.indnkeyatts) = $2::text[]) AS found`,
    [quoteName(leaf.name), key],
  );
  return row?.found ?? false;
}

/** Literals, not parameters: the same text serves several statements, and the user's own filter stands in it. */
function filterOf(table: TableDefinition, { window, where }: CutOptions): string | null {
  const conditions: string[] = where === null ? [] : [`(${where}\n)`];
  const type = table.columns.find((column) => column.name === window?.column)?.type;
  if (window !== null && type !== undefined) {
    const column = quoteIdent(window.column);
    if (window.from !== null) conditions.push(`${column} >= ${quoteLiteral(window.from)}::${type}`);
    if (window.to !== null) conditions.push(`${column} < ${quoteLiteral(window.to)}::${type}`);
  }
  return conditions.length === 0 ? null : conditions.join(' AND ');
}

/** The first key of every slice but the first, by a pass in key order; only those rows leave the server. */
async function exactBounds(session: Session, source: KeySource, wanted: number): Promise<Bounds> {
  await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  const where = source.filter === null ? '' : ` WHERE ${source.filter}`;
  const [counted] = await session.query<{ readonly rows: string; readonly all: string }>(
    source.filter === null
      ? `SELECT count(*) AS rows, count(*) AS all FROM ${source.from}`
      : `SELECT count(*) FILTER (WHERE ${source.filter}) AS rows, count(*) AS all FROM ${source.from}`,
  );
  const rows = Number(counted?.rows ?? 0);
  const share = rows === 0 ? 0 : rows / Number(counted?.all ?? rows);
  const slices = Math.max(1, Math.ceil(wanted * share));
  const found =
    rows < 2 || slices < 2
      ? []
      : await boundsOf(session, source, {
          rows: `SELECT ${quoteColumns(source.key)}, row_number() OVER (ORDER BY ${quoteColumns(source.key)}) AS syncline_row,
                        ${rows}::int8 AS syncline_rows FROM ${source.from}${where}`,
          slices,
        });
  await session.query('COMMIT');
  return { bounds: found, share };
}

async function sampledBounds(
  session: Session,
  source: KeySource,
  { slices, percent }: { readonly slices: number; readonly percent: number },
): Promise<Bounds> {
  const where = source.filter === null ? '' : ` WHERE ${source.filter}`;
  const bounds = await boundsOf(session, source, {
    rows: `SELECT ${quoteColumns(source.key)}, row_number() OVER (ORDER BY ${quoteColumns(source.key)}) AS syncline_row,
                  count(*) OVER () AS syncline_rows
             FROM (SELECT ${quoteColumns(source.key)} FROM ${source.from} TABLESAMPLE SYSTEM (${Math.min(100, percent)})${where}) sample`,
    slices,
  });
  return { bounds, share: 1 };
}

async function boundsOf(
  session: Session,
  source: KeySource,
  { rows, slices }: { readonly rows: string; readonly slices: number },
): Promise<readonly (readonly string[])[]> {
  const texts = source.key.map((name) => `${quoteIdent(name)}::text`).join(', ');
  const found = await session.query<{ readonly bound: readonly string[] }>(
    `SELECT ARRAY[${texts}] AS bound FROM (${rows}) ordered
      WHERE syncline_row > 1
        AND (syncline_row - 1) * ${slices} / syncline_rows <> (syncline_row - 2) * ${slices} / syncline_rows
      ORDER BY syncline_row`,
  );
  return found.map((row) => row.bound);
}

function toRanges(
  columns: readonly string[],
  bounds: readonly (readonly string[])[],
): readonly (KeyRange | null)[] {
  if (bounds.length === 0) return [null];
  const ends: readonly (readonly string[] | null)[] = [null, ...bounds, null];
  return ends.slice(0, -1).map((from, index) => ({ columns, from, to: ends[index + 1] ?? null }));
}
