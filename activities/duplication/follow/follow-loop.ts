import type { Followed, FollowInput, LinkProgress } from '../../../definitions/contracts/duplication.ts';
import { SynclineError } from '../../../definitions/errors.ts';
import type { LogChange, LogPosition, LogReading } from '../../../stores/spi/log.ts';
import type { LinkState, LinkWriter } from '../../../stores/spi/log-target.ts';
import type { ActivityDependencies } from '../../dependencies.ts';
import type { Link } from '../link.ts';
import { Chores } from './chores.ts';
import { CommitTimes, LagMeter } from './lag.ts';
import { type Care, verdictOn } from './poison.ts';
import { progressOf } from './progress.ts';
import { type ReadBatch, ReadAhead } from './read-ahead.ts';
import { type HeldAtCut, partsOf, routeBatch, splitAfter } from './route-batch.ts';
import type { Routes } from './routes.ts';

export interface FollowParts {
  readonly dependencies: ActivityDependencies;
  readonly link: Link;
  readonly input: FollowInput;
  readonly writer: LinkWriter;
  readonly routes: Routes;
  readonly signal: AbortSignal;
}

export type Why = Followed['why'];

/** The log is to be read again from what is committed. */
export const readAgain = Symbol('readAgain');

/** A place that only moved (nothing of ours was written) is worth a commit of its own this often. */
const idleCommitMs = 1_000;
const idleWaitMs = 100;

/**
 * Applies the log of one link until there is a reason to stop. Between two batches, at a commit boundary, the chores are
 * done: what else may have happened to the link.
 */
export class FollowLoop {
  readonly chores: Chores;
  readonly lag = new LagMeter();
  readonly care: Care;
  isHeld: HeldAtCut | null = null;
  private readonly parts: FollowParts;
  private readonly reading: LogReading;
  private readonly ahead: ReadAhead;
  /** Of the open transaction of the writer. */
  private times = new CommitTimes();
  private open = nothingOpen();
  private committedAtMs = Date.now();
  private rest: ReadBatch | null = null;
  /** A place that only moved and was not worth a commit yet: on a source that is still, no other one comes. */
  private idleAt: LogPosition | null = null;
  private readonly known = new Set<object>();

  constructor(parts: FollowParts, reading: LogReading, care: Care) {
    const { batchChanges, batchBytes } = parts.input.job.log;
    this.parts = parts;
    this.reading = reading;
    this.care = care;
    this.ahead = new ReadAhead(reading.pieces(), { changes: batchChanges, bytes: batchBytes });
    this.chores = new Chores(parts, () => this.progress);
  }

  get state(): LinkState {
    return this.parts.writer.state;
  }

  get progress(): LinkProgress {
    const { routes } = this.parts;
    const { way } = this.reading;
    return progressOf({
      state: this.state,
      retained: this.chores.retained,
      special: routes.special,
      following: { way, lagMs: this.lag.ms, lastReadAtMs: this.ahead.lastReadAtMs },
    });
  }

  stop(): void {
    this.ahead.stop();
  }

  /** Runs until `done` answers, which is asked at every commit boundary with what the chores say. */
  async runUntil<Answer>(done: (why: Why | null) => Answer | null): Promise<Answer | typeof readAgain> {
    for (;;) {
      this.parts.signal.throwIfAborted();
      if (this.open.changes === 0) {
        const answer = done(await this.chores.due());
        if (answer !== null) return answer;
      }
      const batch = this.rest ?? (await this.ahead.next(this.chores.hasMore ? 0 : idleWaitMs));
      this.rest = null;
      if (batch === null) {
        if (this.idleAt !== null) await this.commit(this.idleAt);
        continue;
      }
      this.idleAt = null;
      const [first, rest] = splitAfter(batch, this.care.transactions);
      this.rest = rest;
      if (!(await this.take(first))) return readAgain;
    }
  }

  /** False: the target refused it, and what to do about it is known. */
  private async take(batch: ReadBatch): Promise<boolean> {
    const { writer, input, routes } = this.parts;
    try {
      if (batch.changes.length > 0) await this.apply(batch);
      if (batch.position !== null) await this.commit(batch.position);
      return true;
    } catch (error) {
      await writer.rollback();
      const table = error instanceof SynclineError ? routes.tableOf(error.details.table) : null;
      const position = batch.changes[0]?.transaction.position ?? null;
      const transactions = Math.max(1, batch.transactions);
      const verdict = verdictOn({ error, mode: input.mode, table, transactions, position });
      this.parts.dependencies.metrics.batchFailed(this.parts.link.ref, codeOf(error));
      if (verdict.act === 'fail' || !(error instanceof SynclineError)) throw error;
      if (verdict.act === 'halve') this.care.halve(transactions);
      else if (verdict.act === 'setAside') this.care.doomed.set(verdict.position, error);
      else await this.chores.holdTable(verdict.table, error);
      return false;
    }
  }

  private async apply(batch: ReadBatch): Promise<void> {
    const { writer, routes } = this.parts;
    if (this.open.changes === 0) this.begun();
    this.times.add(batch.changes);
    await this.introduce(batch.changes);
    for (const { part, why } of partsOf(batch, this.care.doomed)) {
      if (why === null) {
        const routed = routeBatch(part, routes, this.isHeld);
        await writer.apply(routed.batch);
        for (const [table, count] of routed.tables)
          this.open.tables.set(table, (this.open.tables.get(table) ?? 0) + count);
      } else {
        await writer.setAside(part.changes, { code: why.code, message: why.message });
        this.chores.noteTrouble();
      }
    }
    this.open.changes += batch.changes.length;
    this.open.bytes += batch.bytes;
    this.open.transactions += batch.transactions;
  }

  private begun(): void {
    this.times = new CommitTimes();
    this.open = nothingOpen();
  }

  /** Leaves that the writer has not been told of. */
  private async introduce(changes: readonly LogChange[]): Promise<void> {
    const { writer, routes } = this.parts;
    const fresh = new Map<object, LogChange>();
    let last: object | null = null;
    for (const change of changes) {
      if (change.relation === last) continue;
      last = change.relation;
      if (!this.known.has(last)) fresh.set(last, change);
    }
    if (fresh.size === 0) return;
    const leaves = [...fresh.values()].map(({ relation }) => routes.of(relation).leaf);
    await writer.know(leaves);
    for (const relation of fresh.keys()) this.known.add(relation);
  }

  private async commit(position: LogPosition): Promise<void> {
    const { dependencies, writer, signal, link, input } = this.parts;
    const { fault, metrics } = dependencies;
    const now = Date.now();
    if (this.open.changes === 0) {
      this.lag.note(null);
      this.idleAt = position > this.state.position ? position : null;
      if (this.idleAt === null || now - this.committedAtMs < idleCommitMs) return;
      this.idleAt = null;
    }
    const record = this.times.record(input.job.log.laggingAfterMs);
    await writer.commit(position, {
      record,
      beforeCommit: () => (record === null ? Promise.resolve() : fault.reach('batch.beforeCommit', signal)),
    });
    const { startedAtMs, ...shipped } = this.open;
    this.begun();
    this.committedAtMs = Date.now();
    this.care.committed();
    if (record !== null) {
      this.lag.note(record);
      const seconds = (Date.now() - startedAtMs) / 1_000;
      metrics.batchApplied(link.ref, { ...shipped, seconds });
      await fault.reach('batch.afterCommit', signal);
      await fault.reach('confirm.before', signal);
    }
    await this.reading.confirm(await writer.durable());
  }
}

function nothingOpen() {
  return {
    changes: 0,
    bytes: 0,
    transactions: 0,
    tables: new Map<string, number>(),
    startedAtMs: Date.now(),
  };
}

function codeOf(error: unknown): string {
  return error instanceof SynclineError ? error.code : 'internal.unexpected';
}
