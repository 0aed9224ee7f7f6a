import type { LogCut, LogPiece, LogPosition, LogStart } from '../../stores/spi/log.ts';
import { SynclineError } from '../../definitions/errors.ts';
import type { TouchedCollector } from '../../stores/spi/touched-rows.ts';
import { expectRetained } from '../duplication/link.ts';
import type { KeptLog } from './kept-log.ts';

const piece = { pieceChanges: 20_000, pieceBytes: 8 * 1024 * 1024 };

export interface TouchedUntilCut {
  readonly kept: KeptLog;
  /** Where the log begins, and of which history it is. */
  readonly start: LogStart;
  readonly touched: TouchedCollector;
  readonly signal: AbortSignal;
  /** Told how many changes were looked at. */
  changes(count: number): void;
}

/**
 * Reads the log from its beginning to one instant of the source. The snapshot is taken when it has been read to where it ended at
 * first, so that it is held for the rest only. Nothing is confirmed: another attempt reads it all again. Answers the
 * instant, still held. Throws `log.slotLost`, `log.otherTimeline`.
 */
export async function touchedUntilCut(request: TouchedUntilCut): Promise<LogCut> {
  const { kept, start, signal } = request;
  const { log, address } = kept;
  const retained = await expectRetained({ log, address });
  const reading = await log.follow({ address, from: start.position, ...piece, binary: true, signal });
  try {
    const pieces = reading.pieces()[Symbol.asyncIterator]();
    const followed = { pieces, at: start.position };
    await followTo(request, followed, retained.end);
    const cut = await log.cut(address.job, signal);
    try {
      expectSameHistory(cut, start);
      await followTo(request, followed, cut.position);
      return cut;
    } catch (error) {
      await cut.close();
      throw error;
    }
  } finally {
    await reading.close();
  }
}

interface Followed {
  readonly pieces: AsyncIterator<LogPiece>;
  at: LogPosition;
}

async function followTo(request: TouchedUntilCut, followed: Followed, to: LogPosition): Promise<void> {
  while (followed.at < to) {
    const next = await followed.pieces.next();
    if (next.done === true) {
      request.signal.throwIfAborted();
      throw new SynclineError('store.connectionLost', 'The log of the source ended before the instant.');
    }
    const { changes, position } = next.value;
    request.touched.add(changes);
    request.changes(changes.length);
    followed.at = position ?? followed.at;
  }
}

/** A source that was failed over, or went back in time, has another past than the rows that were read of it. */
function expectSameHistory({ mark }: LogCut, start: LogStart): void {
  if (mark.systemId === start.systemId && mark.timeline === start.timeline) return;
  throw new SynclineError(
    'log.otherTimeline',
    'The source is not the server any more that the backup began with.',
  );
}
