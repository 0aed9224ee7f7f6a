import type { ColumnDefinition } from '../../spi/tables.ts';
import type { Session } from '../connection.ts';

interface ColumnRow extends ColumnDefinition {
  readonly relation: number;
}

/**
 * A type travels in binary when it and all it is made of have send and receive functions, and none holds an object id
 * by another name: `regclass` and kin would arrive as another object, silently. An empty tsquery is sent but not
 * received ("malformed tsquery", 15 and 18). Extension types are taken at their word.
 * Types that contain themselves cannot exist, so the recursion ends.
 */
const columnsQuery = `
WITH RECURSIVE columns AS (
  SELECT a.* FROM pg_attribute a
   WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
), made_of(type, part) AS (
  SELECT DISTINCT atttypid, atttypid FROM columns
  UNION
  SELECT m.type, inner_type.oid
    FROM made_of m JOIN pg_type t ON t.oid = m.part
    CROSS JOIN LATERAL (
      SELECT t.typbasetype AS oid WHERE t.typtype = 'd'
      UNION ALL SELECT t.typelem WHERE t.typsubscript = 'array_subscript_handler'::regproc
      UNION ALL SELECT f.atttypid FROM pg_attribute f
                 WHERE t.typtype = 'c' AND f.attrelid = t.typrelid AND f.attnum > 0 AND NOT f.attisdropped
      UNION ALL SELECT r.rngsubtype FROM pg_range r WHERE t.oid IN (r.rngtypid, r.rngmultitypid)
    ) inner_type
), base(type, base) AS (
  SELECT type, part FROM made_of m JOIN pg_type t ON t.oid = m.part
   WHERE t.typtype = 'b' AND t.typsubscript <> 'array_subscript_handler'::regproc
     AND NOT EXISTS (SELECT FROM made_of o JOIN pg_type ot ON ot.oid = o.part
                      WHERE o.type = m.type AND o.part <> m.part AND ot.typtype <> 'd')
), safe(type, safe) AS (
  SELECT m.type, bool_and(t.typsend <> 0 AND t.typreceive <> 0
           AND NOT (t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype = 'b'
                    AND (t.typname ~ '^reg' OR t.typname = 'tsquery')))
    FROM made_of m JOIN pg_type t ON t.oid = m.part GROUP BY m.type
)
SELECT c.attrelid AS relation, c.attname AS name, format_type(c.atttypid, c.atttypmod) AS type,
       c.attnotnull AS "notNull", c.attgenerated <> '' AS generated,
       CASE c.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by-default' END AS identity,
       (c.atthasdef AND c.attgenerated = '') OR c.attidentity <> '' OR ct.typdefault IS NOT NULL AS "hasDefault",
       safe.safe AS "binarySafe",
       coalesce(bt.typname IN ('int2', 'int4', 'int8', 'oid', 'uuid', 'date', 'time', 'timestamp', 'timestamptz',
                               'bytea', 'bool')
             OR bt.typname IN ('text', 'varchar', 'name')
                AND (coll.collname IN ('C', 'POSIX', 'ucs_basic')
                     OR coll.collname = 'default' AND db.datcollate IN ('C', 'POSIX') AND db.datlocprovider = 'c'),
             false) AS "comparesExactly"
  FROM columns c
  JOIN pg_type ct ON ct.oid = c.atttypid
  JOIN safe ON safe.type = c.atttypid
  LEFT JOIN base ON base.type = c.atttypid
  LEFT JOIN pg_type bt ON bt.oid = base.base AND bt.typnamespace = 'pg_catalog'::regnamespace
  LEFT JOIN pg_collation coll ON coll.oid = c.attcollation
  CROSS JOIN (SELECT datcollate, coalesce(to_jsonb(d)->>'datlocprovider', 'c') AS datlocprovider
                FROM pg_database d WHERE datname = current_database()) db
 ORDER BY c.attrelid, c.attnum`;

/** Columns of each relation in their order; dropped ones are left out, relations without columns too. */
export async function readColumns(
  session: Session,
  relations: readonly number[],
): Promise<ReadonlyMap<number, readonly ColumnDefinition[]>> {
  const columns = new Map<number, ColumnDefinition[]>();
  for (const { relation, ...column } of await session.query<ColumnRow>(columnsQuery, [relations])) {
    const known = columns.get(relation);
    if (known === undefined) columns.set(relation, [column]);
    else known.push(column);
  }
  return columns;
}
