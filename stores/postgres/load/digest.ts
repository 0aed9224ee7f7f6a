import type { TableName } from '../../spi/tables.ts';
import type { Session } from '../connection.ts';
import { quoteIdent } from '../identifiers.ts';

/**
 * Order-free digest of row images, computed where the rows are: `count:sum of 64-bit row hashes`.
 *
 * A sum, never XOR (equal rows would cancel). Images, not equality: types whose hash sees equality (-0 = 0,
 * 1.0 = 1.00), the OID of the database (enums, reg*) or nothing at all go in as their `_send` bytes or their text.
 * Sums of disjoint parts add up, so slices and their chunk can be compared. Facts: research/postgres.md 2.6.
 *
 * The hash of a record is a linear combination of the hashes of its columns, so a plain sum stays the same when two
 * rows exchange a value (tried: unnoticed in 68 of 100 exchanges). Each row's hash is therefore hashed once more, as
 * the seed of another hash: a seed is mixed in with all its 64 bits, while the hash of int8 folds its halves into 32
 * and a cast to float8 drops the last 11.
 */

/** Types whose extended hash is a hash of the exact image, equal on every server from 14 on. */
const hashedAsTheyAre = new Set([
  'bool',
  'bytea',
  'char',
  'date',
  'inet',
  'cidr',
  'int2',
  'int4',
  'macaddr',
  'macaddr8',
  'name',
  'oid',
  'time',
  'timestamp',
  'timestamptz',
  'timetz',
  'uuid',
]);

/** Types whose binary form is the image. text and varchar: a non-deterministic collation hashes equality. */
const sendFunctions: Readonly<Record<string, string>> = {
  bpchar: 'bpcharsend',
  float4: 'float4send',
  float8: 'float8send',
  numeric: 'numeric_send',
  // Its text form leaves the encoding of the declaration out, so that is what travels.
  xml: 'xml_send',
};

interface ColumnType {
  readonly column: string;
  /** Base type under any domain; only pg_catalog types keep their name, others are `other`. */
  readonly type: string;
  readonly deterministic: boolean;
}

const typesStatement = `
WITH RECURSIVE base AS (
  SELECT a.attname, a.attnum, a.atttypid AS type, a.attcollation FROM pg_attribute a
   WHERE a.attrelid = format('%I.%I', $1::text, $2::text)::regclass AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT b.attname, b.attnum, t.typbasetype, b.attcollation FROM base b JOIN pg_type t ON t.oid = b.type AND t.typtype = 'd')
SELECT b.attname AS column,
       CASE WHEN t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype = 'b' THEN t.typname ELSE 'other' END AS type,
       coalesce((SELECT c.collisdeterministic FROM pg_collation c WHERE c.oid = b.attcollation), true) AS deterministic
  FROM base b JOIN pg_type t ON t.oid = b.type WHERE t.typtype <> 'd'`;

/** The digest of `columns` as one SQL expression over the table named in FROM. `retyped` columns go in as text. */
export async function digestExpression(
  session: Session,
  table: TableName,
  columns: { readonly all: readonly string[]; readonly retyped: readonly string[] },
): Promise<string> {
  if (columns.all.length === 0) return `count(*)::text`;
  const rows = await session.query<ColumnType>(typesStatement, [table.schema, table.name]);
  const types = new Map(rows.map((row) => [row.column, row]));
  const isWide = columns.all.length > mostColumnsTwice;
  const images = columns.all.map((column) => {
    const type = types.get(column);
    return type === undefined || columns.retyped.includes(column) ? asText(column) : imageOf(type, isWide);
  });
  const row = `hash_record_extended(ROW(${images.join(', ')}), 0)`;
  return `count(*) || ':' || coalesce(sum(hashint4extended(0, ${row})), 0)`;
}

/** A row constructor takes 1,664 fields, and a column may need two. */
const mostColumnsTwice = 800;

function imageOf(type: ColumnType, isWide: boolean): string {
  const column = quoteIdent(type.column);
  if (hashedAsTheyAre.has(type.type)) return column;
  // Folded, -1 and 4294967295 are one; the upper half beside it tells them apart.
  if (type.type === 'int8') return isWide ? `int8send(${column})` : `${column}, ${column} >> 32`;
  const send = sendFunctions[type.type];
  if (send !== undefined) return `${send}(${column})`;
  if (type.type === 'text' || type.type === 'varchar')
    return type.deterministic ? column : `textsend(${column}::text)`;
  return asText(type.column);
}

function asText(column: string): string {
  return `textsend(${quoteIdent(column)}::text)`;
}

/** Adds digests of disjoint parts of one set of rows. */
export function addDigests(digests: readonly string[]): string {
  let rows = 0n;
  let sum = 0n;
  let summed = false;
  for (const digest of digests) {
    const [count = '0', hash] = digest.split(':');
    rows += BigInt(count);
    if (hash !== undefined) {
      summed = true;
      sum += BigInt(hash);
    }
  }
  return summed || digests.length === 0 ? `${String(rows)}:${String(sum)}` : String(rows);
}
