import type { TableName, TableShape } from '../../spi/tables.ts';
import type { Session } from '../connection.ts';
import { parsePattern, type TablePattern } from './patterns.ts';

/** A table as the catalogue finds it, before it is described. */
export interface Relation {
  readonly oid: number;
  readonly name: TableName;
  readonly shape: TableShape;
}

interface RelationRow {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly shape: TableShape;
}

/** Ours and the server's own schemas never take part, whatever a wildcard says. */
const visibleTables = `
  SELECT c.oid, n.nspname AS schema, c.relname AS name,
         CASE WHEN c.relkind = 'p' THEN 'partitioned'
              WHEN EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid) THEN 'inherited'
              ELSE 'plain' END AS shape
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
     AND n.nspname <> 'information_schema' AND n.nspname <> 'syncline' AND NOT starts_with(n.nspname, 'pg_')`;

/** Tables that a pattern meets, in name order. */
export async function matchRelations(session: Session, pattern: string): Promise<Relation[]> {
  const { schema, name }: TablePattern = parsePattern(pattern);
  const rows = await session.query<RelationRow>(
    `SELECT * FROM (${visibleTables}) t WHERE schema LIKE $1 AND name LIKE $2 ORDER BY schema COLLATE "C", name COLLATE "C"`,
    [schema.like, name.like],
  );
  return rows.map(toRelation);
}

/** By exact name; null where there is no such table. Order as asked. */
export async function findRelations(
  session: Session,
  names: readonly TableName[],
): Promise<(Relation | null)[]> {
  const rows = await session.query<RelationRow & { readonly position: number }>(
    `SELECT t.*, asked.position::int AS position
       FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS asked(schema, name, position)
       JOIN (${visibleTables}) t ON t.schema = asked.schema AND t.name = asked.name`,
    [names.map((name) => name.schema), names.map((name) => name.name)],
  );
  const found = new Map(rows.map((row) => [row.position, toRelation(row)]));
  return names.map((_, index) => found.get(index + 1) ?? null);
}

/** Pairs of a relation and each of its parents, grandparents …, by any kind of inheritance. */
export async function ancestorsOf(
  session: Session,
  oids: readonly number[],
): Promise<ReadonlyMap<number, ReadonlySet<number>>> {
  const rows = await session.query<{ readonly child: number; readonly ancestor: number }>(
    `WITH RECURSIVE up(child, ancestor) AS (
       SELECT inhrelid, inhparent FROM pg_inherits WHERE inhrelid = ANY ($1::oid[])
       UNION SELECT up.child, i.inhparent FROM up JOIN pg_inherits i ON i.inhrelid = up.ancestor)
     SELECT * FROM up`,
    [oids],
  );
  const ancestors = new Map<number, Set<number>>();
  for (const { child, ancestor } of rows) {
    const known = ancestors.get(child);
    if (known === undefined) ancestors.set(child, new Set([ancestor]));
    else known.add(ancestor);
  }
  return ancestors;
}

function toRelation(row: RelationRow): Relation {
  return { oid: row.oid, name: { schema: row.schema, name: row.name }, shape: row.shape };
}
