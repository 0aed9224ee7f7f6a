import type { Session } from '../connection.ts';

/**
 * Primary key first, then the unique index with the fewest columns. An index that is deferrable, partial, over an
 * expression, over a nullable or generated column, or temporal (WITHOUT OVERLAPS) cannot identify a row for us.
 */
const keysQuery = `
SELECT i.indrelid AS relation, cols.names
  FROM pg_index i
  JOIN pg_class ic ON ic.oid = i.indexrelid
  JOIN pg_am am ON am.oid = ic.relam AND am.amname = 'btree'
  CROSS JOIN LATERAL (
    SELECT array_agg(a.attname::text ORDER BY k.position) AS names,
           bool_and(coalesce(a.attnotnull AND a.attgenerated = '', false)) AS usable
      FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, position)
      LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
     WHERE k.position <= i.indnkeyatts) cols
 WHERE i.indrelid = ANY ($1::oid[]) AND i.indisunique AND i.indisvalid AND i.indimmediate
   AND NOT i.indisexclusion AND i.indpred IS NULL AND i.indexprs IS NULL AND cols.usable
 ORDER BY i.indrelid, i.indisprimary DESC, i.indnkeyatts, ic.relname COLLATE "C"`;

/** Unique and exclusion indexes of each root, and of its members where they do not belong to one above. */
const uniquesQuery = `
SELECT m.root, count(*)::int AS uniques
  FROM unnest($1::oid[], $2::oid[]) AS m(root, oid)
  JOIN pg_index i ON i.indrelid = m.oid AND (i.indisunique OR i.indisexclusion)
  JOIN pg_class ic ON ic.oid = i.indexrelid
 WHERE m.root = m.oid OR NOT ic.relispartition
 GROUP BY m.root`;

/** Pairs of root and member, as two arrays of equal length. */
export interface Membership {
  readonly roots: readonly number[];
  readonly members: readonly number[];
}

/** The usable key of every relation that has one. */
export async function readKeys(
  session: Session,
  relations: readonly number[],
): Promise<ReadonlyMap<number, readonly string[]>> {
  const keys = new Map<number, readonly string[]>();
  const rows = await session.query<{ readonly relation: number; readonly names: string[] }>(keysQuery, [
    relations,
  ]);
  for (const { relation, names } of rows) if (!keys.has(relation)) keys.set(relation, names);
  return keys;
}

/** How many unique and exclusion constraints hang on each tree. */
export async function countUniques(session: Session, all: Membership): Promise<ReadonlyMap<number, number>> {
  const rows = await session.query<{ readonly root: number; readonly uniques: number }>(uniquesQuery, [
    all.roots,
    all.members,
  ]);
  return new Map(rows.map((row) => [row.root, row.uniques]));
}
