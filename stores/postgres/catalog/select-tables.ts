import type { PreflightFinding } from '../../../definitions/contracts/copy.ts';
import type { TableSelection } from '../../../definitions/contracts/job.ts';
import { errorTable, SynclineError } from '../../../definitions/errors.ts';
import type { TableDefinition } from '../../spi/tables.ts';
import type { Session } from '../connection.ts';
import { displayName, quoteName } from '../identifiers.ts';
import { parsePattern } from './patterns.ts';
import { ancestorsOf, matchRelations, type Relation } from './relations.ts';

export interface SelectedRelation {
  readonly selection: TableSelection;
  readonly relation: Relation;
}

export interface SelectedRelations {
  readonly selected: readonly SelectedRelation[];
  readonly findings: readonly PreflightFinding[];
}

/**
 * Expands the selections in their order. A table that an entry without wildcard names takes only such entries;
 * a table below another selected table goes with that one.
 */
export async function selectRelations(
  session: Session,
  selections: readonly TableSelection[],
): Promise<SelectedRelations> {
  const findings: PreflightFinding[] = [];
  const matched: SelectedRelation[] = [];
  for (const selection of selections) {
    const relations = await matchRelations(session, selection.pattern);
    if (relations.length === 0) findings.push(await nothingMatches(session, selection));
    matched.push(...relations.map((relation) => ({ selection, relation })));
  }
  const named = new Set(
    matched.filter(({ selection }) => !isWildcard(selection)).map((match) => match.relation.oid),
  );
  const oids = new Set(matched.map((match) => match.relation.oid));
  const ancestors = await ancestorsOf(session, [...oids]);
  const seen = new Set<string>();
  const selected = matched.filter(({ selection, relation }) => {
    if ([...(ancestors.get(relation.oid) ?? [])].some((ancestor) => oids.has(ancestor))) return false;
    if (named.has(relation.oid) && isWildcard(selection)) return false;
    const identity = `${relation.oid} ${isWildcard(selection) ? '' : JSON.stringify({ ...selection, pattern: '' })}`;
    if (seen.has(identity)) return false;
    seen.add(identity);
    return true;
  });
  return { selected, findings };
}

function isWildcard(selection: TableSelection): boolean {
  const pattern = parsePattern(selection.pattern);
  return pattern.schema.hasWildcard || pattern.name.hasWildcard;
}

async function nothingMatches(session: Session, selection: TableSelection): Promise<PreflightFinding> {
  const { pattern } = selection;
  const message = isWildcard(selection)
    ? `No table matches ${pattern}, or the role may not see any.`
    : `There is no table ${pattern}.`;
  const other = isWildcard(selection) ? null : await kindOfOther(session, pattern);
  if (other === null) return finding('source.tableMissing', pattern, message);
  const cure = 'Name the tables that it reads; only tables can be copied.';
  return { ...finding('source.tableMissing', pattern, `${pattern} is a ${other}, not a table.`), cure };
}

/** What has the name instead; null where nothing has. */
async function kindOfOther(session: Session, pattern: string): Promise<string | null> {
  const { schema, name } = parsePattern(pattern);
  const [row] = await session.query<{ readonly kind: string | null }>(
    `SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table'
              WHEN 'S' THEN 'sequence' WHEN 'i' THEN 'index' END AS kind
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname LIKE $1 AND c.relname LIKE $2 LIMIT 1`,
    [schema.like, name.like],
  );
  return row?.kind ?? null;
}

/** Named columns that are not there, window columns too, and a filter that the server refuses. */
export async function checkSelection(
  session: Session,
  selection: TableSelection,
  table: TableDefinition,
): Promise<PreflightFinding[]> {
  const known = new Set(table.columns.map((column) => column.name));
  const asked = [
    ...(selection.columns ?? []),
    ...(selection.window === undefined ? [] : [selection.window.column]),
  ];
  const display = displayName(table.name);
  const findings = [...new Set(asked)]
    .filter((column) => !known.has(column))
    .map((column) => finding('source.columnMissing', display, `Table ${display} has no column ${column}.`));
  if (table.shape === 'inherited' && selection.columns === undefined) {
    findings.push(...(await checkChildren(session, table)));
  }
  if (selection.where !== undefined) findings.push(...(await checkFilter(session, table, selection.where)));
  return findings;
}

/** A child may have columns that its parent lacks; reading them as the parent would lose them silently. */
async function checkChildren(session: Session, table: TableDefinition): Promise<PreflightFinding[]> {
  const rows = await session.query<{
    readonly schema: string;
    readonly name: string;
    readonly columns: string[];
  }>(
    `SELECT n.nspname AS schema, c.relname AS name, array_agg(a.attname::text ORDER BY a.attnum) AS columns
       FROM unnest($1::text[], $2::text[]) AS leaf(schema, name)
       JOIN pg_namespace n ON n.nspname = leaf.schema
       JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = leaf.name
       JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      WHERE a.attname <> ALL ($3::text[]) GROUP BY 1, 2 ORDER BY 1, 2`,
    [
      table.leaves.map((leaf) => leaf.name.schema),
      table.leaves.map((leaf) => leaf.name.name),
      table.columns.map((column) => column.name),
    ],
  );
  const display = displayName(table.name);
  return rows.map((row) => ({
    ...finding(
      'source.columnMissing',
      display,
      `Child ${displayName(row)} has columns that ${display} lacks (${row.columns.join(', ')}); they would not be copied.`,
    ),
    cure: 'Name the columns to copy under `columns`, and copy the child by a job of its own if all of it is wanted.',
  }));
}

/** The parameter makes the server take exactly one statement; EXPLAIN plans and does not run it. */
async function checkFilter(
  session: Session,
  table: TableDefinition,
  where: string,
): Promise<PreflightFinding[]> {
  const display = displayName(table.name);
  try {
    await session.query(`EXPLAIN SELECT 1 FROM ${quoteName(table.name)} WHERE $1::boolean AND (${where}\n)`, [
      true,
    ]);
    return [];
  } catch (error) {
    const state = error instanceof SynclineError ? (error.details.sqlState ?? '') : '';
    if (!/^(42|22|0A)/.test(state)) throw error;
    const message = `The server refuses the filter of ${display} (SQLSTATE ${state}).`;
    return [finding('source.invalidFilter', display, message)];
  }
}

function finding(code: keyof typeof errorTable, table: string, message: string): PreflightFinding {
  return { severity: 'error', code, table, message, cure: errorTable[code].cure };
}
