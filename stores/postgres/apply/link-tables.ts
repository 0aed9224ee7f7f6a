import { isErrorCode } from '../../../definitions/errors.ts';
import type { LinkRef, LinkTable, LogTarget } from '../../spi/log-target.ts';
import type { Sessions } from '../connection.ts';
import { hasLinks } from '../ledger/schema.ts';
import { isoTime, whereLink } from './link-state.ts';

/** `syncline.link_table`: the tables of a link that are not simply followed. */

interface TableRow {
  readonly name: string;
  readonly state: LinkTable['state'];
  readonly code: string | null;
  readonly message: string | null;
  readonly since: string;
  readonly attempts: number;
}

export async function listTables(sessions: Sessions, ref: LinkRef): Promise<readonly LinkTable[]> {
  return await sessions.use(`${ref.job}/link`, async (session) => {
    if (!(await hasLinks(session))) return [];
    const rows = await session.query<TableRow>(
      `SELECT name, state, code, message, ${isoTime('since')} AS since, attempts
         FROM syncline.link_table WHERE ${whereLink(ref)} ORDER BY name COLLATE "C"`,
    );
    return rows.map(({ name, code, ...row }) => ({
      table: name,
      ...row,
      code: code === null ? null : isErrorCode(code) ? code : 'internal.unexpected',
    }));
  });
}

/** `since` is when the state began, whatever else is said of it later. */
export async function setTable(
  sessions: Sessions,
  ref: LinkRef,
  table: Parameters<LogTarget['setTable']>[1],
): Promise<void> {
  await sessions.use(`${ref.job}/link`, async (session) => {
    if (table.state === 'live') {
      await session.query(`DELETE FROM syncline.link_table WHERE ${whereLink(ref)} AND name = $1`, [
        table.table,
      ]);
      return;
    }
    await session.query(
      `INSERT INTO syncline.link_table AS t (job, target, name, state, code, message, attempts)
       SELECT job, target, $1, $2, $3, $4, $5 FROM syncline.link WHERE ${whereLink(ref)}
       ON CONFLICT (job, target, name) DO UPDATE SET state = excluded.state, code = excluded.code,
         message = excluded.message, attempts = excluded.attempts,
         since = CASE t.state WHEN excluded.state THEN t.since ELSE excluded.since END`,
      [table.table, table.state, table.code, table.message, table.attempts],
    );
  });
}
