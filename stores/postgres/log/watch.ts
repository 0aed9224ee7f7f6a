import type { LogPosition } from '../../spi/log.ts';
import type { Sessions } from '../connection.ts';
import { flushLog } from './flush.ts';
import { reachedWhenIdle } from './positions.ts';
import type { Following } from './reading.ts';
import { readSlot, type Slot } from './slot.ts';

/**
 * Looks at the slot now and then while its log is streamed: whether it falls far behind although somebody waits for it,
 * and whether the server keeps the end of its log in memory.
 */

interface WatchOptions {
  readonly everyMs: number;
  isFar(slot: Slot): boolean;
}

interface StreamWatch {
  readonly isFar: boolean;
  stop(): void;
}

export function watchStream(sessions: Sessions, following: Following, options: WatchOptions): StreamWatch {
  const { address } = following.request;
  let isFar = false;
  let looking = false;
  let unwritten: LogPosition | null = null;
  const look = async (): Promise<void> => {
    const slot = await sessions.use(`${address.job}/log`, (session) => readSlot(session, address));
    if (slot === null) return;
    isFar = following.wasHungry && options.isFar(slot);
    following.wasHungry = following.queue.isHungry;
    if (isFar) following.bell.ring();
    const inserted = reachedWhenIdle(slot.inserted);
    // Twice the same: nobody will write soon, and whoever waits for this place would wait for that.
    if (inserted > slot.end && inserted === unwritten) await flushLog(sessions, address.job);
    unwritten = inserted > slot.end ? inserted : null;
  };
  const timer = setInterval(() => {
    if (looking) return;
    looking = true;
    // A server that does not answer is noticed by the stream itself.
    look()
      .catch(() => undefined)
      .finally(() => (looking = false));
  }, options.everyMs);
  return {
    get isFar() {
      return isFar;
    },
    stop: () => clearInterval(timer),
  };
}
