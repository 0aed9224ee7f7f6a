import type { Session } from '../connection.ts';

/** A column as SQL for CREATE TABLE, in pieces, because defaults may have to name a renamed sequence. */
export interface ColumnPieces {
  readonly relation: number;
  /** Quoted. */
  readonly name: string;
  readonly type: string;
  /** ` COMPRESSION …`, ` COLLATE …` in the only order that the grammar takes, or empty. */
  readonly options: string;
  readonly default: string | null;
  readonly generated: '' | 's' | 'v';
  readonly identity: '' | 'a' | 'd';
  readonly identitySequence: number | null;
  readonly notNull: boolean;
  /** False for a column that comes from the parent only. */
  readonly local: boolean;
  /** What ALTER TABLE … ALTER COLUMN must say besides. */
  readonly alters: readonly string[];
}

/**
 * Partitions take their columns from above; only what they say differently is of interest there.
 * Storage, statistics target and attribute options have no place in CREATE TABLE on every version.
 */
const columnsQuery = `
SELECT a.attrelid AS relation, quote_ident(a.attname) AS name, format_type(a.atttypid, a.atttypmod) AS type,
       CASE a.attcompression WHEN 'p' THEN ' COMPRESSION pglz' WHEN 'l' THEN ' COMPRESSION lz4' ELSE '' END
       || CASE WHEN a.attcollation <> t.typcollation AND a.attcollation <> 0
               THEN ' COLLATE ' || a.attcollation::regcollation ELSE '' END AS options,
       pg_get_expr(d.adbin, d.adrelid) AS default, a.attgenerated AS generated, a.attidentity AS identity,
       (SELECT dep.objid FROM pg_depend dep
         WHERE dep.classid = 'pg_class'::regclass AND dep.refclassid = 'pg_class'::regclass AND dep.deptype = 'i'
           AND dep.refobjid = a.attrelid AND dep.refobjsubid = a.attnum AND a.attidentity <> '') AS "identitySequence",
       a.attnotnull AS "notNull", a.attislocal OR a.attrelid = $2::oid AS local,
       array_remove(ARRAY[
         CASE WHEN a.attstorage <> t.typstorage THEN 'SET STORAGE ' || CASE a.attstorage
           WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'x' THEN 'EXTENDED' ELSE 'MAIN' END END,
         CASE WHEN a.attstattarget >= 0 THEN 'SET STATISTICS ' || a.attstattarget END,
         CASE WHEN a.attoptions IS NOT NULL THEN 'SET (' || array_to_string(a.attoptions, ', ') || ')' END], NULL) AS alters
  FROM pg_attribute a
  JOIN pg_class c ON c.oid = a.attrelid
  JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  LEFT JOIN pg_inherits i ON i.inhrelid = a.attrelid AND i.inhseqno = 1 AND a.attrelid <> $2::oid
  LEFT JOIN pg_attribute pa ON pa.attrelid = i.inhparent AND pa.attname = a.attname AND NOT pa.attisdropped
  LEFT JOIN pg_attrdef pd ON pd.adrelid = pa.attrelid AND pd.adnum = pa.attnum
 WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
   AND (a.attrelid = $2::oid OR NOT c.relispartition
        OR pg_get_expr(d.adbin, d.adrelid) IS DISTINCT FROM pg_get_expr(pd.adbin, pd.adrelid) AND a.attgenerated = ''
        OR a.attnotnull AND NOT pa.attnotnull OR a.attstorage <> pa.attstorage
        OR a.attoptions IS DISTINCT FROM pa.attoptions)
 ORDER BY a.attrelid, a.attnum`;

export interface Constraint {
  readonly relation: number;
  readonly name: string;
  /** c check, p primary key, u unique, x exclusion. */
  readonly kind: 'c' | 'p' | 'u' | 'x';
  readonly definition: string;
  /** Storage options of its index, which the definition leaves out. */
  readonly indexOptions: readonly string[] | null;
  readonly comment: string | null;
}

/** `$2` = the root: whatever it inherits from elsewhere is its own in the copy. */
const constraintsQuery = `
SELECT conrelid AS relation, conname AS name, contype AS kind, pg_get_constraintdef(oid) AS definition,
       (SELECT reloptions FROM pg_class WHERE pg_class.oid = conindid AND relkind = 'i') AS "indexOptions",
       obj_description(oid, 'pg_constraint') AS comment
  FROM pg_constraint
 WHERE conrelid = ANY ($1::oid[]) AND contype IN ('c', 'p', 'u', 'x')
   AND (conrelid = $2::oid OR conislocal AND conparentid = 0)
 ORDER BY conrelid, array_position(ARRAY['p', 'u', 'x', 'c'], contype::text), conname COLLATE "C"`;

export interface Index {
  readonly relation: number;
  readonly name: string;
  readonly unique: boolean;
  /** From `USING` on. */
  readonly definition: string;
  readonly comment: string | null;
}

/** Indexes that no constraint owns and that do not belong to an index above. */
const indexesQuery = `
SELECT i.indrelid AS relation, ic.relname AS name, i.indisunique AS unique,
       substr(pg_get_indexdef(i.indexrelid), 1 + length(format('CREATE %sINDEX %I ON %s%I.%I ',
         CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, ic.relname,
         CASE WHEN ic.relkind = 'I' THEN 'ONLY ' ELSE '' END, n.nspname, c.relname))) AS definition,
       obj_description(i.indexrelid, 'pg_class') AS comment
  FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid
  JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE i.indrelid = ANY ($1::oid[]) AND i.indislive AND (i.indrelid = $2::oid OR NOT ic.relispartition)
   AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid AND conrelid = i.indrelid
                      AND contype IN ('p', 'u', 'x'))
 ORDER BY i.indrelid, ic.relname COLLATE "C"`;

export interface TableOptions {
  readonly relation: number;
  /** `RANGE (ts)`; null for a table that is not partitioned. */
  readonly partitionKey: string | null;
  readonly options: readonly string[] | null;
  readonly toastOptions: readonly string[] | null;
  readonly replicaIdentity: 'd' | 'f' | 'n' | 'i';
  readonly identityIndex: string | null;
  readonly parents: readonly number[];
  readonly comment: string | null;
}

const optionsQuery = `
SELECT c.oid AS relation, CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END AS "partitionKey",
       c.reloptions AS options, toast.reloptions AS "toastOptions", c.relreplident AS "replicaIdentity",
       (SELECT ic.relname FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid
         WHERE i.indrelid = c.oid AND i.indisreplident AND NOT ic.relispartition) AS "identityIndex",
       ARRAY(SELECT inhparent FROM pg_inherits WHERE inhrelid = c.oid ORDER BY inhseqno) AS parents,
       obj_description(c.oid, 'pg_class') AS comment
  FROM pg_class c LEFT JOIN pg_class toast ON toast.oid = c.reltoastrelid
 WHERE c.oid = ANY ($1::oid[])`;

export interface Sequence {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** As it stands in a default: `'schema.name'::regclass` without the cast. */
  readonly literal: string;
  /** From `AS type` on. */
  readonly definition: string;
  readonly ascending: boolean;
  readonly lastValue: string | null;
  /** Column that owns it, or whose identity it is; null for one that a default merely uses. */
  readonly ownerRelation: number | null;
  readonly ownerColumn: string | null;
  readonly isIdentity: boolean;
}

const sequencesQuery = `
WITH used AS (
  SELECT d.objid AS oid, d.refobjid AS relation, d.refobjsubid AS attnum, d.deptype = 'i' AS is_identity
    FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
     AND d.refobjid = ANY ($1::oid[]) AND d.deptype IN ('a', 'i')
  UNION ALL
  SELECT d.refobjid, NULL, NULL, false FROM pg_attrdef ad
    JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = ad.oid AND d.refclassid = 'pg_class'::regclass
   WHERE ad.adrelid = ANY ($1::oid[])
)
SELECT DISTINCT ON (s.seqrelid) s.seqrelid AS oid, n.nspname AS schema, c.relname AS name,
       quote_literal(s.seqrelid::regclass::text) AS literal,
       format('AS %s INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s%s', s.seqtypid::regtype,
         s.seqincrement, s.seqmin, s.seqmax, s.seqstart, s.seqcache,
         CASE WHEN s.seqcycle THEN ' CYCLE' ELSE '' END) AS definition,
       s.seqincrement > 0 AS ascending,
       CASE WHEN has_sequence_privilege(s.seqrelid, 'SELECT, USAGE')
            THEN pg_sequence_last_value(s.seqrelid)::text END AS "lastValue",
       used.relation AS "ownerRelation", a.attname AS "ownerColumn", used.is_identity AS "isIdentity"
  FROM used JOIN pg_sequence s ON s.seqrelid = used.oid
  JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_attribute a ON a.attrelid = used.relation AND a.attnum = used.attnum
 ORDER BY s.seqrelid, used.relation NULLS LAST`;

/** Everything that CREATE TABLE and what follows it need, by relation. */
export interface TableFacts {
  readonly columns: ReadonlyMap<number, readonly ColumnPieces[]>;
  readonly constraints: ReadonlyMap<number, readonly Constraint[]>;
  readonly indexes: ReadonlyMap<number, readonly Index[]>;
  readonly options: ReadonlyMap<number, readonly TableOptions[]>;
  readonly sequences: readonly Sequence[];
}

export async function readTables(
  session: Session,
  relations: readonly number[],
  root: number,
): Promise<TableFacts> {
  return {
    columns: byRelation(await session.query<ColumnPieces>(columnsQuery, [relations, root])),
    constraints: byRelation(await session.query<Constraint>(constraintsQuery, [relations, root])),
    indexes: byRelation(await session.query<Index>(indexesQuery, [relations, root])),
    options: byRelation(await session.query<TableOptions>(optionsQuery, [relations])),
    sequences: await session.query<Sequence>(sequencesQuery, [relations]),
  };
}

export function byRelation<Row extends { readonly relation: number }>(
  rows: readonly Row[],
): ReadonlyMap<number, readonly Row[]> {
  const groups = new Map<number, Row[]>();
  for (const row of rows) {
    const group = groups.get(row.relation);
    if (group === undefined) groups.set(row.relation, [row]);
    else group.push(row);
  }
  return groups;
}
