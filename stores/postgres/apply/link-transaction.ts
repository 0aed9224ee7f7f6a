import { SynclineError } from '../../../definitions/errors.ts';
import type { CommitBatch, LinkState } from '../../spi/log-target.ts';
import type { LogChange, LogPosition } from '../../spi/log.ts';
import { applyBatch, type LaneBatch } from './apply-batch.ts';
import { type Segment, segmentsOf } from './batch-parts.ts';
import { batchesKept, emptyTally, failedBatch, moveLinkStep, type Tally } from './commit-link.ts';
import type { LaneSession } from './lane-session.ts';
import { keysOf, type Lanes, soloStep } from './lanes.ts';
import type { LeafBook } from './leaf-book.ts';
import { superseded } from './link-lock.ts';
import { type LinkRow, linkStateOf, whereLink } from './link-state.ts';
import type { Step } from './message.ts';

export interface LinkParts {
  readonly row: LinkRow;
  readonly lanes: Lanes;
  readonly sessions: readonly [LaneSession, ...LaneSession[]];
  readonly book: LeafBook;
}

export interface LinkCommit extends CommitBatch {
  readonly to: LogPosition;
  readonly consistentAt: LogPosition | null;
}

/**
 * What is applied between two commits of a link: one transaction, or with lanes one of each lane. Begins with the first
 * change.
 */
export class LinkTransaction {
  state: LinkState;
  tally: Tally = emptyTally();
  readonly book: LeafBook;
  readonly first: LaneSession;
  private readonly lanes: Lanes;
  private readonly sessions: LinkParts['sessions'];
  private batches: number;
  private keysAs: string | null = null;
  private startedAtMs: number | null = null;
  private failure: SynclineError | null = null;

  constructor({ row, lanes, sessions, book }: LinkParts) {
    this.state = linkStateOf(row);
    this.batches = Number(row.batches);
    this.lanes = lanes;
    this.sessions = sessions;
    this.book = book;
    [this.first] = sessions;
  }

  get isOpen(): boolean {
    return this.sessions.some(({ inTransaction }) => inTransaction);
  }

  noteCommitTime(change: LogChange | undefined): void {
    if (change === undefined) return;
    const at = change.transaction.committedAtMs;
    this.tally.committedAtMs = Math.max(this.tally.committedAtMs ?? at, at);
  }

  async apply(changes: readonly LogChange[]): Promise<void> {
    this.startedAtMs ??= Date.now();
    if (changes.length === 0) return;
    await this.book.prepare(this.first.session, changes);
    const segments = this.cut(changes);
    this.lanes.expectSameKeys(this.state, segments);
    this.keysAs = keysOf(segments) ?? this.keysAs;
    if (this.lanes.count === 1) await this.runAlone(changes, segments, this.plainCut);
    else if (this.lanes.solo) await this.runAlone(changes, segments, this.spreadCut);
    else if (this.lanes.canSpread(segments)) await this.runSpread(changes, segments);
    else await this.turnSolo(changes, segments);
  }

  /** In the first lane, whatever the number of lanes: nothing of it may be committed apart from the rest. */
  async applyAlone(changes: readonly LogChange[]): Promise<void> {
    if (changes.length === 0) return;
    await this.book.prepare(this.first.session, changes);
    // What waited was never a lane's, whatever place the lanes have come to.
    await this.runAlone(changes, segmentsOf(changes, { ...this.plainCut, within: 'batch' }), this.plainCut);
  }

  private async runAlone(
    changes: readonly LogChange[],
    segments: readonly Segment[],
    cut: LaneBatch['cut'],
  ): Promise<void> {
    this.tally.conflicts += await applyBatch(this.first, segments, {
      ...this.batchOf(changes, cut),
      ownRows: (fold) => (cut.spread === null ? fold.rows : fold.rows.filter(({ isDone }) => !isDone)),
    });
  }

  private async runSpread(changes: readonly LogChange[], segments: readonly Segment[]): Promise<void> {
    const all = this.sessions.map((session, lane) =>
      applyBatch(session, segments, {
        ...this.batchOf(changes, this.spreadCut),
        isFirst: lane === 0,
        ownRows: (fold) => fold.rows.filter((row) => row.lane === lane && !row.isDone),
      }),
    );
    const conflicts = await allOrFirstError(all);
    this.tally.conflicts += conflicts.reduce((sum, one) => sum + one, 0);
  }

  /** Rows of several lanes hang together. */
  private async turnSolo(changes: readonly LogChange[], segments: readonly Segment[]): Promise<void> {
    await this.keepTogether();
    await this.runAlone(changes, segments, this.spreadCut);
  }

  /**
   * All that comes up to the commit is lane 0's. If some was spread already, everything since the last commit is done again.
   * Changes that are put aside (the spool, dead letters) need it: when the log comes again after a lane was ahead, it may
   * be for the lanes to apply them, and they would take them for done.
   */
  async keepTogether(): Promise<void> {
    if (this.lanes.count === 1 || this.lanes.solo) return;
    this.lanes.solo = true;
    if (!this.sessions.slice(1).some(({ inTransaction }) => inTransaction)) return;
    for (const session of this.sessions) await session.rollback();
    await this.first.session.query(soloStep(this.state, true).text);
    throw new SynclineError(
      'store.conflict',
      'Changes of several lanes hang together; they are applied again in one.',
    );
  }

  private cut(changes: readonly LogChange[]): readonly Segment[] {
    const cutting = this.lanes.count === 1 ? this.plainCut : this.spreadCut;
    return segmentsOf(changes, { ...cutting, within: 'batch' });
  }

  private get plainCut(): LaneBatch['cut'] {
    return { routeFor: ({ relation }) => this.book.routeFor(relation), spread: null };
  }

  private get spreadCut(): LaneBatch['cut'] {
    return { ...this.plainCut, spread: this.lanes };
  }

  private batchOf(changes: readonly LogChange[], cut: LaneBatch['cut']): Omit<LaneBatch, 'ownRows'> {
    return {
      changes,
      cut,
      isFirst: true,
      refresh: async () => {
        this.book.forgetTargets();
        await this.book.prepare(this.first.session, changes);
      },
    };
  }

  /** Everything but the commits first; then lane by lane, the first with the link's own row last. */
  async commit({ to, consistentAt, record, ...how }: LinkCommit): Promise<LinkState> {
    const { state, tally, lanes } = this;
    const others = this.sessions.slice(1).filter(({ inTransaction }) => inTransaction);
    const move = { to, keysAs: this.keysAs };
    await allOrFirstError(
      others.map(async (session) => {
        const lane = this.sessions.indexOf(session);
        await this.expectMoved(session, [lanes.moveStep(state, lane, move)], ({ count }) => count > 0);
      }),
    );
    // A portion of the spool moves nothing: what could not be spread is still to come.
    const moves = to > state.position;
    const solo = lanes.solo && moves ? [soloStep(state, false)] : [];
    const steps = [...solo, ...this.pruneSteps(), moveLinkStep({ state, to, tally, consistentAt, record })];
    const moved = await this.expectMoved(this.first, steps, ({ rows }) => rows.length > 0);
    await how.beforeCommit();
    for (const session of others) {
      await session.commit();
      lanes.committed(this.sessions.indexOf(session), move);
    }
    await this.first.commit();
    if (moves) lanes.solo = false;
    this.state = linkStateOf(moved as unknown as LinkRow);
    this.batches = Number(moved['batches']);
    this.begun();
    return this.state;
  }

  /** The last of the steps says whether the link is where it was. */
  private async expectMoved(
    session: LaneSession,
    steps: readonly Step[],
    isMoved: (result: Awaited<ReturnType<LaneSession['run']>>[number]) => boolean,
  ): Promise<Readonly<Record<string, string | null>>> {
    const results = await session.run([...session.stages.emptyFull(), ...steps]);
    const last = results.at(-1);
    if (last === undefined || !isMoved(last)) throw superseded(this.state.ref);
    return last.rows[0] ?? {};
  }

  private pruneSteps(): Step[] {
    if (this.batches % 100 !== 99) return [];
    const last = String(this.batches - batchesKept);
    return [{ text: `DELETE FROM syncline.batch WHERE ${whereLink(this.state.ref)} AND id <= ${last}` }];
  }

  noteFailure(error: unknown): void {
    if (error instanceof SynclineError) this.failure = error;
  }

  /** Nothing of it stays but a line about a batch that failed. Fine when the sessions are gone. */
  async rollback(): Promise<void> {
    const { failure, startedAtMs } = this;
    for (const session of this.sessions) await session.rollback();
    this.book.forgetTargets();
    const { tally } = this;
    this.begun();
    if (failure === null || startedAtMs === null || failure.code === 'target.superseded') return;
    const line = failedBatch({ state: this.state, tally, startedAtMs, code: failure.code });
    await this.first.session.query(line).then(
      () => undefined,
      () => undefined,
    );
  }

  private begun(): void {
    this.tally = emptyTally();
    this.keysAs = null;
    this.startedAtMs = null;
    this.failure = null;
  }

  async close(): Promise<void> {
    for (const session of this.sessions) await session.close();
  }
}

/** Waits for all, so that no session is left at work. */
async function allOrFirstError<T>(work: readonly Promise<T>[]): Promise<readonly T[]> {
  const outcomes = await Promise.allSettled(work);
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
}
