import type { Sessions } from '../connection.ts';
import { inSyncline, stagingPrefix } from './names.ts';

/** Drops every shadow and staging table of a job. Each in a transaction of its own: thousands would exhaust the lock table. */
export async function removeStaging(sessions: Sessions, job: string): Promise<number> {
  return await sessions.use(`${job}/remove`, async (session) => {
    const tables = await session.query<{ name: string }>(
      `SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'syncline' AND c.relkind = 'r' AND starts_with(c.relname, $1)`,
      [stagingPrefix(job)],
    );
    for (const table of tables) await session.query(`DROP TABLE IF EXISTS ${inSyncline(table.name)}`);
    return tables.length;
  });
}
