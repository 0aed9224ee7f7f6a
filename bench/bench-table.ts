import { inParallel } from './programs.ts';
import type { Side } from './stage.ts';

/** About 101 bytes a row in binary COPY, of plain types, with a primary key: 4 M rows are 0.4 GB. */
export const tableName = 'public.bench';
export const bytesPerRow = 101;

export const columns = `id bigint NOT NULL, at timestamptz NOT NULL, account int NOT NULL, price double precision NOT NULL,
  note text NOT NULL`;

export interface TableSize {
  readonly rows: number;
  readonly partitions: number;
}

export function partitionNames(partitions: number): string[] {
  return Array.from({ length: partitions }, (_, index) => `${tableName}_${String(index)}`);
}

/** Equal ranges of the key; the last one takes what is left. */
function bounds(
  { rows, partitions }: TableSize,
  index: number,
): { readonly from: number; readonly to: number } {
  const each = Math.max(1, Math.floor(rows / partitions));
  return {
    from: index * each,
    to: index === partitions - 1 ? Math.max(rows, partitions) : (index + 1) * each,
  };
}

export interface Shape {
  /** Without, a way loads first and adds the keys afterwards. */
  readonly keys: boolean;
}

/** The empty table with its partitions. */
export async function createTable(side: Side, size: TableSize, { keys }: Shape): Promise<void> {
  const key = keys ? ', PRIMARY KEY (id)' : '';
  await side.query(`CREATE TABLE ${tableName} (${columns}${key}) PARTITION BY RANGE (id)`);
  const names = partitionNames(size.partitions);
  const page = 200;
  for (let first = 0; first < names.length; first += page) {
    const statements = names.slice(first, first + page).map((name, offset) => {
      const { from, to } = bounds(size, first + offset);
      return `CREATE TABLE ${name} PARTITION OF ${tableName} FOR VALUES FROM (${String(from)}) TO (${String(to)})`;
    });
    await side.query(statements.join('; '));
  }
}

/** The same rows on every machine. */
export async function fillTable(side: Side, size: TableSize): Promise<void> {
  const indexes = Array.from({ length: size.partitions }, (_, index) => index);
  await inParallel(indexes, 2, async (index) => {
    const { from, to } = bounds(size, index);
    const until = Math.min(to, size.rows) - 1;
    await side.query(`INSERT INTO ${tableName}_${String(index)} ${rowsBetween(String(from), String(until))}`);
  });
  await side.query(`VACUUM (ANALYZE) ${tableName}`);
}

/** A query that makes rows; the bounds are expressions. */
export function rowsBetween(from: string, until: string): string {
  return `SELECT id, timestamptz '2026-01-01 00:00:00Z' + id * interval '1 second', hashint8(id),
              (hashint8extended(id, 1) & 1048575) / 100.0, md5(id::text) || to_char(id, 'FM00000000000000000')
         FROM generate_series((${from})::bigint, (${until})::bigint) AS id`;
}

export interface Content {
  readonly rows: string;
  readonly digest: string;
  /** Valid indexes on partitions: a run without keys has not done the same work. */
  readonly indexes: string;
}

/** Independent of what any way computes by itself. */
export async function contentOf(side: Side): Promise<Content> {
  const [row] = await side.query<Content>(
    `SELECT count(*)::text AS rows, coalesce(sum(hash_record_extended(t, 0)::numeric), 0)::text AS digest,
       (SELECT count(*)::text FROM pg_index i JOIN pg_inherits h ON h.inhrelid = i.indrelid
         WHERE h.inhparent = '${tableName}'::regclass AND i.indisvalid AND i.indisprimary) AS indexes
       FROM ${tableName} t`,
  );
  if (row === undefined) throw new Error('The content was not read.');
  return row;
}

export async function dropTable(side: Side): Promise<void> {
  await side.query(`DROP TABLE IF EXISTS ${tableName} CASCADE`);
}
