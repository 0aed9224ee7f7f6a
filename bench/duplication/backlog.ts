import pg from 'pg';
import { rowsBetween } from '../bench-table.ts';
import type { Side } from '../stage.ts';
import { markTable, rowsOf, type Sizes, tableOf, updatedRowsOf, type Workload } from './tables.ts';

/** Transactions of two sessions mix in the log, as they do in life; more of them only wait for the two cores. */
const sessions = 2;
/** Has no factor in common with a round number, so that neighbours in the log are not neighbours in the table. */
const stride = 7_919;

/** Writes everything that is to be applied. Commits need not reach the disk: this is not what is measured. */
export async function writeBacklog(source: Side, workload: Workload, sizes: Sizes): Promise<void> {
  const statements =
    workload === 'large'
      ? [largeTransactions(sizes)]
      : Array.from({ length: sessions }, (_, session) => smallTransactions(workload, sizes, session));
  await Promise.all(statements.map((statement) => onSession(source, statement)));
}

/** The last transaction of a backlog. */
export async function writeMark(source: Side, mark: number): Promise<void> {
  await source.query(`UPDATE ${markTable} SET mark = $1`, [mark]);
}

/** What a large backlog has added, so that the next one finds as many rows. The log carries this too. */
export async function takeBack(source: Side, sizes: Sizes): Promise<void> {
  await source.query(`DELETE FROM ${tableOf('large')} WHERE id >= $1`, [rowsOf('large', sizes)]);
}

/**
 * Every session has keys of its own: each key once, or each of the hot ones again and again. Two sessions that changed
 * ten rows of each other's in any order would wait for each other for ever.
 */
function smallTransactions(workload: 'distinct' | 'hot', sizes: Sizes, session: number): string {
  const each = sizes.changesPerTransaction;
  const keys = Math.floor(rowsOf(workload, sizes) / sessions);
  const step = keys % stride === 0 ? 1 : stride;
  const own = Math.ceil((sizes.transactions - session) / sessions);
  return `DO $$ BEGIN
    FOR i IN 0..${String(own - 1)} LOOP
      UPDATE ${tableOf(workload)} SET at = clock_timestamp(), account = account + 1, price = price + 0.25
       WHERE id = ANY (ARRAY(SELECT (i::bigint * ${String(each)} + n) * ${String(step)} % ${String(keys)} * ${String(sessions)} + ${String(session)}
                               FROM generate_series(0, ${String(each - 1)}) AS n));
      COMMIT;
    END LOOP;
  END $$`;
}

function largeTransactions(sizes: Sizes): string {
  const updated = updatedRowsOf(sizes);
  const added = sizes.largeRows - updated;
  const first = rowsOf('large', sizes);
  return `DO $$ BEGIN
    FOR i IN 0..${String(sizes.largeTransactions - 1)} LOOP
      UPDATE ${tableOf('large')} SET at = clock_timestamp(), account = account + 1, price = price + 0.25
       WHERE id >= i * ${String(updated)} AND id < (i + 1) * ${String(updated)};
      INSERT INTO ${tableOf('large')}
        ${rowsBetween(`${String(first)} + i * ${String(added)}`, `${String(first)} + (i + 1) * ${String(added)} - 1`)};
      COMMIT;
    END LOOP;
  END $$`;
}

async function onSession({ url }: Side, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query('SET synchronous_commit = off');
    await client.query(statement);
  } finally {
    await client.end();
  }
}
