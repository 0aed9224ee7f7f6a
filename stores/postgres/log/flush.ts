import type { Sessions } from '../connection.ts';
import { queryEach } from '../query-each.ts';

/**
 * Makes everything durable that the server has written into its log so far. Without, what an open transaction wrote last
 * waits in memory for somebody's commit, and a log that is followed does not come past it. A commit of our own does it,
 * if it has written something (`RecordTransactionCommit`): a message that no reader asks for. `local`: it waits for no
 * standby.
 */
export async function flushLog(sessions: Sessions, job: string): Promise<void> {
  await sessions.use(`${job}/log`, async (session) => {
    await queryEach(session, [
      'BEGIN',
      'SET LOCAL synchronous_commit = local',
      `SELECT pg_logical_emit_message(true, 'syncline', '')`,
      'COMMIT',
    ]);
  });
}

/**
 * Resolves when the log is durable up to here. What a snapshot saw may be lost in a crash until then (asynchronous commit),
 * and the server gives ids and places of what it lost a second time. A standby has replayed only what is durable.
 */
export async function untilFlushed(
  sessions: Sessions,
  { job, lsn, signal }: { readonly job: string; readonly lsn: string; readonly signal: AbortSignal },
): Promise<void> {
  const isThere = async (): Promise<boolean> => {
    const rows = await sessions.use(
      `${job}/log`,
      (session) =>
        session.query<{ there: boolean }>(
          'SELECT CASE WHEN pg_is_in_recovery() THEN true ELSE pg_current_wal_flush_lsn() >= $1::pg_lsn END AS there',
          [lsn],
        ),
      signal,
    );
    return rows[0]?.there === true;
  };
  if (!(await isThere())) await flushLog(sessions, job);
}
