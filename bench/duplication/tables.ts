import { columns, rowsBetween } from '../bench-table.ts';
import type { Side } from '../stage.ts';

export type Workload = 'distinct' | 'hot' | 'large';
export const workloads: readonly Workload[] = ['distinct', 'hot', 'large'];

export interface Sizes {
  /** Of each backlog of small transactions. */
  readonly transactions: number;
  readonly changesPerTransaction: number;
  /** Rows of the table whose keys are hot: every one of them is. */
  readonly hotKeys: number;
  /** Transactions of the backlog of large ones, and the rows that each of them changes. */
  readonly largeTransactions: number;
  readonly largeRows: number;
}

export function tableOf(workload: Workload): string {
  return `public.bench_${workload}`;
}

/** Holds the number of the last backlog: when it is there, everything before it is. */
export const markTable = 'public.bench_mark';
/** One row a transaction of the steady load, with the time when it was written. */
export const lagTable = 'public.bench_lag';
export const followedTables: readonly string[] = [...workloads.map(tableOf), markTable, lagTable];

/** What each table holds between two backlogs. */
export function rowsOf(workload: Workload, sizes: Sizes): number {
  switch (workload) {
    case 'distinct':
      // Even, so that two sessions share it.
      return Math.ceil(sizes.transactions / 2) * 2 * sizes.changesPerTransaction;
    case 'hot':
      return sizes.hotKeys;
    case 'large':
      return sizes.largeTransactions * updatedRowsOf(sizes);
  }
}

/** Half of a large transaction changes rows that are there, the other half adds some. */
export function updatedRowsOf({ largeRows }: Sizes): number {
  return Math.ceil(largeRows / 2);
}

export async function createTables(side: Side): Promise<void> {
  for (const workload of workloads)
    await side.query(`CREATE TABLE ${tableOf(workload)} (${columns}, PRIMARY KEY (id))`);
  await side.query(`CREATE TABLE ${markTable} (id int PRIMARY KEY, mark int NOT NULL)`);
  await side.query(`CREATE TABLE ${lagTable} (id bigint PRIMARY KEY, at timestamptz NOT NULL)`);
}

export async function fillTables(side: Side, sizes: Sizes): Promise<void> {
  for (const workload of workloads) {
    const until = String(rowsOf(workload, sizes) - 1);
    await side.query(`INSERT INTO ${tableOf(workload)} ${rowsBetween('0', until)}`);
  }
  await side.query(`INSERT INTO ${markTable} VALUES (1, 0)`);
}

/** Rows and a hash over all of them, by a query that no way makes by itself. */
export async function contentOf(side: Side, table: string): Promise<string> {
  const [row] = await side.query<{ content: string }>(
    `SELECT count(*) || ' rows, hash ' || coalesce(sum(hash_record_extended(t, 0)::numeric), 0) AS content FROM ${table} t`,
  );
  if (row === undefined) throw new Error('The content was not read.');
  return row.content;
}

/** Dead rows and unwritten pages of one measurement would be paid for in the next one. */
export async function tidy(side: Side): Promise<void> {
  await side.query(`VACUUM (ANALYZE) ${followedTables.join(', ')}`);
  await side.query('CHECKPOINT');
}
