import type { LogTarget } from '../../spi/log-target.ts';
import type { Sessions } from '../connection.ts';
import { expectLedger } from '../ledger/schema.ts';
import { listBatches } from './batches.ts';
import { listDeadTransactions } from './dead-letters.ts';
import { createLink, forgetLink, linkStateOf, readLink, restartLink } from './link-state.ts';
import { listTables, setTable } from './link-tables.ts';
import { openWriter } from './writer.ts';

/** PostgreSQL as the target of links. */
export function createLogTarget(sessions: Sessions): LogTarget {
  return {
    create: (link) => createLink(sessions, link),
    restart: (link) => restartLink(sessions, link),
    read: (ref) =>
      sessions.use(`${ref.job}/link`, async (session) => {
        const row = await readLink(session, ref);
        return row === null ? null : linkStateOf(row);
      }),
    async open(request) {
      await expectLedger(sessions);
      return await openWriter(sessions, request);
    },
    tables: (ref) => listTables(sessions, ref),
    setTable: (ref, table) => setTable(sessions, ref, table),
    deadTransactions: (ref, limit) => listDeadTransactions(sessions, ref, limit),
    batches: (ref, since) => listBatches(sessions, ref, since),
    forget: (ref) => forgetLink(sessions, ref),
  };
}
