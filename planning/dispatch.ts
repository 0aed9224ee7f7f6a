import type { BatchPage, SkippedSlice, UnitBatch, WaitingBatch } from '../definitions/contracts/copy.ts';
import type { ErrorCode } from '../definitions/errors.ts';

/** A batch that was handed out before or must wait, and the time (ms since 1970) from which it may go. */
export interface DueBatch extends WaitingBatch {
  readonly dueAt: number;
}

export interface DispatchStart {
  /** Ordinal of the last unit handed out. */
  readonly cursor: number;
  readonly cursorDone: boolean;
  readonly waiting: readonly DueBatch[];
  readonly skippedSlices: readonly SkippedSlice[];
}

export interface TakeLimits {
  /** Batches in flight at once. */
  readonly parallel: number;
  /** Take only what was handed out before. */
  readonly holdNew: boolean;
}

export interface Taken {
  readonly item: DueBatch;
  /** Not null for a `finish` whose chunk lost a slice: it must be skipped, with this code. */
  readonly doomed: ErrorCode | null;
}

/**
 * Which batch goes next. A state machine without time, promises or Temporal:
 * every batch listed is in exactly one place: queue (listed, not handed out), waiting, in flight, or gone.
 *
 * - Never more than `parallel` in flight.
 * - A `finish` goes only when no unit of its chunk (ordinals `firstChunk..from-1`) is in flight or waiting;
 *   later batches pass it meanwhile.
 * - What was handed back untried goes first; then batches due for another attempt and new ones take turns, so that
 *   neither a bad chunk nor a long plan can starve the other.
 */
export class Dispatch {
  private queue: UnitBatch[] = [];
  private waiting: DueBatch[];
  private readonly inFlight = new Map<number, DueBatch>();
  private skipped: SkippedSlice[];
  private cursor: number;
  private listedTo: number;
  private listedAll: boolean;
  /** Ordinal of the first unit of the chunk handed out last; 0 = none since this object began. */
  private latestChunk = 0;
  private lastWasRetry = false;

  constructor(start: DispatchStart) {
    this.cursor = start.cursor;
    this.listedTo = start.cursor;
    this.listedAll = start.cursorDone;
    this.waiting = [...start.waiting];
    this.skipped = [...start.skippedSlices];
  }

  /** Where the next page begins, or null when enough is listed. */
  listAfter(atLeast: number): number | null {
    return this.listedAll || this.queue.length >= atLeast ? null : this.listedTo;
  }

  offer(page: BatchPage): void {
    this.queue.push(...page.batches);
    this.listedTo = page.next;
    this.listedAll = page.end;
  }

  /** Hands out one batch, or null when nothing may go now. The caller answers with `settle`. */
  take(now: number, limits: TakeLimits): Taken | null {
    if (this.inFlight.size >= limits.parallel) return null;
    const again = this.dueNow(now);
    if (!limits.holdNew) this.passBlockedFinishes();
    const fresh = limits.holdNew ? undefined : this.queue[0];
    if (again !== undefined && (again.code === null || fresh === undefined || !this.lastWasRetry)) {
      this.lastWasRetry = again.code !== null;
      this.waiting = this.waiting.filter((other) => other !== again);
      return this.launch(again);
    }
    if (fresh === undefined) return null;
    this.lastWasRetry = false;
    return this.launch(this.shift(fresh));
  }

  /** The batch is over: done, skipped, or about to be put back by `wait` or `putFirst`. */
  settle(batch: UnitBatch): void {
    this.inFlight.delete(batch.from);
  }

  wait(item: DueBatch): void {
    this.waiting.push(item);
  }

  /** In front of everything else, in this order. */
  putFirst(items: readonly DueBatch[]): void {
    this.waiting.unshift(...items);
  }

  /** A unit was set aside: the `finish` of its chunk, if it has one, must be too. */
  noteSkipped(slice: SkippedSlice): void {
    // Whatever was handed out from `latestChunk` on is of that chunk, and one slice of it says all.
    const { latestChunk } = this;
    const said = (ordinal: number): boolean =>
      latestChunk > 0 && ordinal >= latestChunk && slice.ordinal >= latestChunk;
    this.skipped = [...this.skipped.filter(({ ordinal }) => !said(ordinal)), slice];
    this.forgetOldSlices();
  }

  /** Makes every waiting batch due; with `freshBudget` its attempts are forgotten. */
  wake(now: number, options: { readonly freshBudget: boolean }): number {
    const late = this.waiting.filter(({ dueAt }) => dueAt > now).length;
    this.waiting = this.waiting.map((item) => ({
      ...item,
      dueAt: Math.min(item.dueAt, now),
      attempts: options.freshBudget ? 0 : item.attempts,
    }));
    return late;
  }

  /** Takes waiting batches out, for the caller to skip, split or put back. */
  remove(which: (item: DueBatch) => boolean): readonly DueBatch[] {
    const removed = this.waiting.filter(which);
    this.waiting = this.waiting.filter((item) => !removed.includes(item));
    return removed;
  }

  /** When the next waiting batch becomes due; null if none is waiting for time. */
  nextDue(now: number): number | null {
    const times = this.waiting.map(({ dueAt }) => dueAt).filter((dueAt) => dueAt > now);
    return times.length === 0 ? null : Math.min(...times);
  }

  get waitingBatches(): readonly DueBatch[] {
    return this.waiting;
  }

  get inFlightBatches(): readonly DueBatch[] {
    return [...this.inFlight.values()];
  }

  /** Batches known and not over. */
  get known(): number {
    return this.queue.length + this.waiting.length + this.inFlight.size;
  }

  get listingDone(): boolean {
    return this.listedAll;
  }

  /** Everything listed is over. */
  get finished(): boolean {
    return this.listedAll && this.known === 0;
  }

  /** For continue-as-new; only when nothing is in flight. The queue is listed again from the cursor. */
  carry(now: number): Omit<DispatchStart, 'waiting'> & { readonly waiting: readonly WaitingBatch[] } {
    this.forgetOldSlices();
    return {
      cursor: this.cursor,
      cursorDone: this.listedAll && this.queue.length === 0,
      waiting: this.waiting.map(({ dueAt, ...item }) => ({ ...item, dueInMs: Math.max(0, dueAt - now) })),
      skippedSlices: this.skipped,
    };
  }

  private dueNow(now: number): DueBatch | undefined {
    const due = this.waiting.filter((item) => item.dueAt <= now && !this.blocked(item.batch));
    return due.find(({ code }) => code === null) ?? due.toSorted((a, b) => a.dueAt - b.dueAt)[0];
  }

  private passBlockedFinishes(): void {
    for (let head = this.queue[0]; head !== undefined && this.blocked(head); head = this.queue[0]) {
      this.waiting.push(this.shift(head));
    }
  }

  private shift(head: UnitBatch): DueBatch {
    this.queue.shift();
    this.cursor = head.to;
    this.latestChunk = head.lastChunk;
    this.forgetOldSlices(head);
    return { batch: head, attempts: 0, code: null, message: null, dueAt: 0 };
  }

  /** A slice matters while the `finish` of its chunk may still come, or waits, or is in flight. */
  private forgetOldSlices(head?: UnitBatch): void {
    const matters = (ordinal: number): boolean =>
      ordinal >= this.latestChunk ||
      this.finishCovers(ordinal) ||
      (head !== undefined && within(head, ordinal));
    this.skipped = this.skipped.filter(({ ordinal }) => matters(ordinal));
  }

  private launch(item: DueBatch): Taken {
    this.inFlight.set(item.batch.from, item);
    return { item, doomed: this.doomOf(item.batch) };
  }

  private blocked(batch: UnitBatch): boolean {
    if (batch.kind !== 'finish') return false;
    const inTheWay = (other: DueBatch): boolean =>
      other.batch.from < batch.from && other.batch.to >= batch.firstChunk;
    return this.waiting.some(inTheWay) || [...this.inFlight.values()].some(inTheWay);
  }

  private doomOf(batch: UnitBatch): ErrorCode | null {
    if (batch.kind !== 'finish') return null;
    return this.skipped.find(({ ordinal }) => within(batch, ordinal))?.code ?? null;
  }

  private finishCovers(ordinal: number): boolean {
    return [...this.waiting, ...this.inFlight.values()].some(({ batch }) => within(batch, ordinal));
  }
}

/** Whether `ordinal` is a slice of the chunk that this `finish` completes. */
function within(finish: UnitBatch, ordinal: number): boolean {
  return finish.kind === 'finish' && ordinal >= finish.firstChunk && ordinal < finish.from;
}
