import type { TableName } from '../../spi/tables.ts';
import type { Session } from '../connection.ts';
import { quoteLiteral } from '../identifiers.ts';

/** What the catalogue of the target says of a table that changes are applied to. */
export interface TargetFacts {
  /** `p`: rows are passed on to partitions. */
  readonly kind: string;
  /** By name; without dropped ones. */
  readonly columns: ReadonlyMap<string, TargetColumn>;
  /** Columns of each index that can tell rows apart by equality (unique, whole, immediate or not), and of exclusion constraints. */
  readonly uniques: readonly UniqueFacts[];
  /** First columns of its B-tree and hash indexes: a row with a key that begins so is found without a scan. */
  readonly indexed: readonly (readonly string[])[];
  /** Has a foreign key, or one points at it. */
  readonly hasReferences: boolean;
  /** A foreign key points at it. */
  readonly isReferenced: boolean;
}

export interface UniqueFacts {
  readonly columns: readonly (string | null)[];
  readonly exclusion: boolean;
}

export interface TargetColumn {
  readonly name: string;
  /** Under domains, without modifiers, with its collation: what staging holds. */
  readonly stagedAs: string;
  /** Whole, for a cast from text. */
  readonly type: string;
  readonly notNull: boolean;
  readonly generated: boolean;
  readonly identityAlways: boolean;
  /** Values are equal only when their images are. */
  readonly exact: boolean;
}

const exactTypes = [
  'int2',
  'int4',
  'int8',
  'oid',
  'uuid',
  'date',
  'time',
  'timestamp',
  'timestamptz',
  'bytea',
  'bool',
  'char',
  'name',
  'text',
  'varchar',
];

const factsStatement = (names: string): string => `
WITH RECURSIVE wanted AS (
  SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind AS kind
    FROM pg_catalog.json_to_recordset(${names}) AS w(schema text, name text)
    JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
), attribute AS (
  SELECT a.* FROM wanted w JOIN pg_catalog.pg_attribute a ON a.attrelid = w.oid
   WHERE a.attnum > 0 AND NOT a.attisdropped
), base(type, base) AS (
  SELECT DISTINCT atttypid, atttypid FROM attribute
  UNION ALL
  SELECT b.type, t.typbasetype FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.base WHERE t.typtype = 'd'
)
SELECT w.schema, w.name, w.kind,
  (SELECT coalesce(json_agg(json_build_object('name', a.attname,
       'stagedAs', format_type(bt.oid, -1) || CASE WHEN co.oid IS NULL THEN '' ELSE
           format(' COLLATE %I.%I', cn.nspname, co.collname) END,
       'type', format_type(a.atttypid, a.atttypmod), 'notNull', a.attnotnull,
       'generated', a.attgenerated <> '', 'identityAlways', a.attidentity = 'a',
       'exact', bt.typtype = 'e' OR bt.typnamespace = 'pg_catalog'::regnamespace
           AND bt.typname IN (${exactTypes.map(quoteLiteral).join(', ')})
           AND coalesce(co.collisdeterministic, true)) ORDER BY a.attnum), '[]')
     FROM attribute a JOIN base b ON b.type = a.atttypid
     JOIN pg_type bt ON bt.oid = b.base AND bt.typtype <> 'd'
     LEFT JOIN pg_collation co ON co.oid = a.attcollation LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace
    WHERE a.attrelid = w.oid) AS columns,
  (SELECT coalesce(json_agg(json_build_object('exclusion', i.indisexclusion, 'unique', i.indisunique,
       'lookup', am.amname IN ('btree', 'hash') AND i.indisvalid AND i.indpred IS NULL,
       'columns', (SELECT json_agg(a.attname ORDER BY k.position)
           FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, position)
           LEFT JOIN pg_attribute a ON a.attrelid = w.oid AND a.attnum = k.attnum
          WHERE k.position <= i.indnkeyatts))), '[]')
     FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid JOIN pg_am am ON am.oid = ic.relam
    WHERE i.indrelid = w.oid) AS indexes,
  EXISTS (SELECT FROM pg_constraint f WHERE f.contype = 'f' AND w.oid IN (f.conrelid, f.confrelid)) AS references,
  EXISTS (SELECT FROM pg_constraint f WHERE f.contype = 'f' AND w.oid = f.confrelid) AS referenced
FROM wanted w`;

interface IndexRow {
  readonly exclusion: boolean;
  readonly unique: boolean;
  readonly lookup: boolean;
  readonly columns: readonly (string | null)[];
}

interface FactsRow {
  readonly schema: string;
  readonly name: string;
  readonly kind: string;
  readonly columns: readonly TargetColumn[];
  readonly indexes: readonly IndexRow[];
  readonly references: boolean;
  readonly referenced: boolean;
}

/** In the order of the names; null where there is no such table. */
export async function readTargetFacts(
  session: Session,
  names: readonly TableName[],
): Promise<readonly (TargetFacts | null)[]> {
  if (names.length === 0) return [];
  const rows = await session.query<FactsRow>(factsStatement('$1::json'), [JSON.stringify(names)]);
  const found = new Map(rows.map((row) => [`${row.schema}\n${row.name}`, factsOf(row)]));
  return names.map(({ schema, name }) => found.get(`${schema}\n${name}`) ?? null);
}

function factsOf(row: FactsRow): TargetFacts {
  return {
    kind: row.kind,
    columns: new Map(row.columns.map((column) => [column.name, column])),
    uniques: row.indexes
      .filter(({ unique, exclusion }) => unique || exclusion)
      .map(({ columns, exclusion }) => ({ columns, exclusion })),
    indexed: row.indexes
      .filter(({ lookup }) => lookup)
      .map(({ columns }) => columns.filter((column) => column !== null)),
    hasReferences: row.references,
    isReferenced: row.referenced,
  };
}
