import { setTimeout as delay } from 'node:timers/promises';
import { SynclineError } from '../../../definitions/errors.ts';
import {
  bytesBetween,
  type FollowLog,
  type LogPiece,
  type LogPosition,
  type LogReading,
} from '../../spi/log.ts';
import type { Sessions } from '../connection.ts';
import { translateError } from '../sqlstate.ts';
import { advanceSlot, readPull } from './pull.ts';
import { Following } from './reading.ts';
import { expectSlot, freeSlot, type Slot } from './slot.ts';
import { explainSlot, slotBusy, slotLost } from './slot-errors.ts';
import { readStream } from './stream.ts';
import { isServerFault, isUnreadable } from './unreadable.ts';
import { watchStream } from './watch.ts';

export interface FollowLimits {
  /** So far behind, pull. */
  readonly pullFromBytes: number;
  /** So far behind while streaming, and somebody waits: back to pulling. */
  readonly fallBackBytes: number;
  /** Of log in one portion. */
  readonly portionBytes: number;
  /**
   * Every portion reads the log again from where the oldest transaction began. Where that is so far back, one long stream
   * is cheaper.
   */
  readonly rereadBytes: number;
  readonly watchEveryMs: number;
}

const mebibyte = 1024 * 1024;

export const followLimits: FollowLimits = {
  pullFromBytes: 16 * mebibyte,
  fallBackBytes: 64 * mebibyte,
  portionBytes: 64 * mebibyte,
  rereadBytes: 512 * mebibyte,
  watchEveryMs: 5_000,
};

/** Opens the log of a link behind a position. Throws `log.slotLost`, `log.slotBusy`, `log.gap`. */
export async function followLog(
  sessions: Sessions,
  request: FollowLog,
  limits: FollowLimits,
): Promise<LogReading> {
  const { address, from } = request;
  request.signal.throwIfAborted();
  const slot = await sessions.use(`${address.job}/log`, (session) => freeSlot(session, address));
  // The server would go on from where it was confirmed to, and say nothing (research 2.3).
  if (slot.confirmed > from) {
    throw new SynclineError(
      'log.gap',
      `Replication slot ${address.slot} is ahead of the target's ledger: changes in between are lost.`,
    );
  }
  return new FollowedLog(sessions, new Following(request), limits);
}

/** Chooses the way. A switch happens between two transactions, and the other way goes on from what was handed over. */
class FollowedLog implements LogReading {
  private readonly sessions: Sessions;
  private readonly following: Following;
  private readonly limits: FollowLimits;
  private running: Promise<void> | null = null;
  private readonly onAbort = (): void => this.stop();

  constructor(sessions: Sessions, following: Following, limits: FollowLimits) {
    this.sessions = sessions;
    this.following = following;
    this.limits = limits;
    following.request.signal.addEventListener('abort', this.onAbort, { once: true });
  }

  get way(): LogReading['way'] {
    return this.following.way;
  }

  async *pieces(): AsyncIterable<LogPiece> {
    this.running ??= this.run();
    for (;;) {
      const piece = await this.following.queue.take();
      if (piece === null) return;
      yield piece;
    }
  }

  confirm(position: LogPosition): Promise<void> {
    const { following } = this;
    if (position > following.confirmed) following.confirmed = position;
    following.bell.ring();
    return Promise.resolve();
  }

  async close(): Promise<void> {
    this.stop();
    await this.running;
    if (this.running !== null && this.way === 'pull') await this.confirmLast();
    this.running = null;
  }

  private stop(): void {
    this.following.request.signal.removeEventListener('abort', this.onAbort);
    this.following.end(null);
  }

  private async run(): Promise<void> {
    try {
      while (!this.following.queue.isOver) await this.readOneWay();
    } catch (error) {
      this.following.end(await this.explain(error));
    }
  }

  private async readOneWay(): Promise<void> {
    const { sessions, following, limits } = this;
    const isFar = (slot: Slot, from: LogPosition): boolean =>
      this.isFarBehind(slot, from, limits.pullFromBytes);
    if (isFar(await this.freeSlot(), following.handed)) {
      following.way = 'pull';
      await readPull(sessions, following, { portionBytes: limits.portionBytes, isFar });
      return;
    }
    following.way = 'stream';
    const watch = watchStream(sessions, following, {
      everyMs: limits.watchEveryMs,
      isFar: (slot) => this.isFarBehind(slot, following.handed, limits.fallBackBytes),
    });
    try {
      await readStream(sessions, following, () => watch.isFar);
    } finally {
      watch.stop();
    }
  }

  private isFarBehind(slot: Slot, from: LogPosition, bytes: number): boolean {
    return (
      bytesBetween(from, slot.end) >= bytes && bytesBetween(slot.restart, from) <= this.limits.rereadBytes
    );
  }

  /** After a switch the server may need a moment to see that the session before is gone. Others are not ended here. */
  private async freeSlot(): Promise<Slot> {
    const { address } = this.following.request;
    for (let attempt = 1; ; attempt += 1) {
      const slot = await this.sessions.use(`${address.job}/log`, (session) => expectSlot(session, address));
      if (slot.activePid === null) return slot;
      if (attempt === 100) throw slotBusy(address);
      await delay(50);
    }
  }

  /** A session that ended may have ended because its slot was taken away. */
  private async explain(error: unknown): Promise<SynclineError> {
    const { address } = this.following.request;
    const { store } = this.sessions;
    const known = explainSlot(translateError(error, { store, doing: 'following the log' }), address);
    if (this.following.queue.isOver) return known;
    try {
      if (known.code === 'store.connectionLost')
        await this.sessions.use(`${address.job}/log`, (session) => expectSlot(session, address));
      else if (isServerFault(known) && (await this.isUnreadable())) {
        const state = known.details.sqlState ?? '';
        return slotLost(address, `the server keeps log that it cannot decode, SQLSTATE ${state}`);
      }
      return known;
    } catch (lost) {
      return lost instanceof SynclineError && lost.code === 'log.slotLost' ? lost : known;
    }
  }

  private async isUnreadable(): Promise<boolean> {
    await this.freeSlot();
    return await isUnreadable(this.sessions, this.following);
  }

  /** Best effort: what is not confirmed is kept by the server, and confirmed by the next reading. */
  private async confirmLast(): Promise<void> {
    const { following, sessions } = this;
    try {
      await sessions.use(
        `${following.request.address.job}/log`,
        (session) => advanceSlot(session, following),
        AbortSignal.timeout(2_000),
      );
    } catch {
      return;
    }
  }
}
