import type { LogCut } from '../../spi/log.ts';
import type { Sessions } from '../connection.ts';
import { createSnapshotHolder } from '../load/snapshot-holder.ts';
import { flushLog } from './flush.ts';
import { positionOfLsn, reachedWhenIdle } from './positions.ts';

/**
 * One instant of the source without a lock (design 3.1). The mark's insert position is read after its snapshot, and the
 * commit of what is visible there lies before it; it is flushed, so that the log comes there however quiet the source is.
 */
export async function cutLog(sessions: Sessions, job: string, signal: AbortSignal): Promise<LogCut> {
  const held = await createSnapshotHolder(sessions).hold(job, signal);
  try {
    await flushLog(sessions, job);
    const position = reachedWhenIdle(positionOfLsn(held.mark.insertPosition));
    return { mark: held.mark, position, snapshot: held.id, close: () => held.close() };
  } catch (error) {
    await held.close();
    throw error;
  }
}
