import { SynclineError } from '../../../definitions/errors.ts';
import type { BeginLog } from '../../spi/log.ts';
import type { Session } from '../connection.ts';
import { queryEach } from '../query-each.ts';
import { waitUntil } from './waiting.ts';

/**
 * Waits until every transaction that had begun to write is over (design 3.1, step 1).
 *
 * The id comes from a transaction of its own. `pg_snapshot_xmax` would not do: it is the latest *completed* id + 1 and
 * blind to running ones beyond it; nor would `xmin` alone, which is never above xmax. An id of our own that is over lies
 * below xmax, so `xmin` beyond it means that everybody up to it is over, prepared transactions and other databases too.
 */
export async function passBarrier(session: Session, request: BeginLog, deadline: number): Promise<void> {
  const upTo = await takeTransactionId(session);
  await waitUntil({ session, request, deadline, upTo }, async () => {
    const [row] = await session.query<{ over: boolean }>(
      'SELECT pg_snapshot_xmin(pg_current_snapshot())::text::numeric > $1::numeric AS over',
      [String(upTo)],
    );
    return row?.over === true;
  });
}

/** Nothing depends on its commit being durable, and with a synchronous standby it would wait for that one. */
async function takeTransactionId(session: Session): Promise<bigint> {
  const [, , rows] = await queryEach(session, [
    'BEGIN',
    'SET LOCAL synchronous_commit = off',
    'SELECT pg_current_xact_id()::text AS xid',
    'COMMIT',
  ]);
  const xid = (rows?.[0] as { xid: string } | undefined)?.xid;
  if (xid === undefined) throw new SynclineError('internal.unexpected', 'The server gave no transaction id.');
  return BigInt(xid);
}
