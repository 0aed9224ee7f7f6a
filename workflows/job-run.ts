import {
  type ActivityOptions,
  CancellationScope,
  setCurrentDetails,
  workflowInfo,
} from '@temporalio/workflow';
import type {
  CopyCarried,
  CopyTotals,
  LoadRef,
  PlanTotals,
  PreparedLoad,
} from '../definitions/contracts/copy.ts';
import type { JobKind, ResolvedFailurePolicy, ResolvedRun } from '../definitions/contracts/job.ts';
import type { JobStatus } from '../definitions/contracts/status.ts';
import type { ErrorCode } from '../definitions/errors.ts';
import { Dispatch } from '../planning/dispatch.ts';
import { noTotals, percentDone, statusOf, type Trouble, worstTrouble } from '../planning/progress.ts';
import type { BatchCalls } from './batch-calls.ts';
import type { CallFailure } from './failures.ts';
import { publishAttributes } from './search-attributes.ts';
import { detailsOf } from './status-details.ts';

/** Why the work of a run ended: all done, an operator's word, a history that grew long, or what nobody can cure. */
export type Ending = 'finished' | 'remove' | 'cancel' | 'continue' | 'fail';
export type EarlyEnding = Exclude<Ending, 'finished'>;

/** Below the 4,096 events at which a server suggests it, with room for what is still in flight. */
const longHistory = 3_000;
/** With a call that no other run could take over; the server ends a run at 51,200. */
const longestHistory = 40_000;
const eventsPerCall = 6;
const detailsEveryMs = 1_000;

export interface JobRunStart {
  readonly kind: JobKind;
  readonly name: string;
  readonly onFailure: ResolvedFailurePolicy;
  readonly run: ResolvedRun;
  readonly scheduledTime: string | undefined;
  readonly carried: CopyCarried | undefined;
  readonly calls: BatchCalls;
  readonly owner?: LoadOwner;
}

/** What a load is a part of when it is not a job by itself: it names the calls, shows the state and says when to let go. */
export interface LoadOwner {
  activityId(label: string): string;
  publish(): void;
  /** The load ends as with `continue` once nothing of it is in flight. */
  readonly letGo: boolean;
}

/** Where the activities of a stage run; empty: where the workflow does. */
export type Place = Pick<ActivityOptions, 'taskQueue' | 'scheduleToStartTimeout'>;

/**
 * The state of one run of a job, in one place: the loops change it, Updates change it, the status is derived from it.
 * It knows one load at a time; a kind with stages begins the next one with `beginStage`.
 * Whoever changes something that a loop may wait for calls `touch`.
 */
export class JobRun {
  readonly kind: JobKind;
  readonly name: string;
  readonly settings: ResolvedRun;
  readonly run: string;
  readonly startedAt: string;
  readonly scheduledTime: string;
  policy: ResolvedFailurePolicy;
  parallel: number;

  calls: BatchCalls;
  place: Place = {};
  /** Of a restore: a unit that is on the target already is not written again. */
  onlyChanged = false;
  step: 'init' | 'load' | 'finish' | 'done' = 'init';
  ref: LoadRef | null;
  plan: PlanTotals | null;
  totals: CopyTotals;
  warnings: readonly string[];
  dispatch: Dispatch;
  /** Passes over the dead letters begun so far; 0 = the ordinary pass. */
  retryRound: number;
  retryRequested: boolean;
  /** What a kind with stages adds to the status. */
  stageStatus: () => Pick<JobStatus, 'stage' | 'stages'> = () => ({});

  paused: boolean;
  pauseReason: string | null = null;
  stopped: { readonly code: ErrorCode; readonly message: string } | null;
  removeRequested = false;
  cancelRequested = false;
  /** Ends the job without result once nothing is in flight. */
  fatal: CallFailure | null = null;
  /** A call is out that must not be cut off by continue-as-new. */
  pinned = false;
  ended: 'done' | 'failed' | 'removed' | null = null;
  private endedAt: string | null = null;
  private endNote: string | null = null;
  /** A call that is not about one batch (prepare, list, finish) and is out, or waits for another attempt. */
  stepRunning = false;
  stepTrouble: Trouble | null = null;
  /** Nobody takes the work at the site; said until somebody does, also while it lies there again. */
  siteTrouble: Trouble | null = null;

  /** Grows with every change; what waits compares it. */
  changes = 0;
  /** Grows when what waits for time must go at once. */
  wakes = 0;
  private readonly outside = CancellationScope.current();
  private session = new CancellationScope({ cancellable: true, parent: this.outside });
  private readonly owner: LoadOwner | undefined;
  private readonly namesUsed = new Map<string, number>();
  private detailsAt = 0;
  private shown = '';

  constructor(start: JobRunStart) {
    const { carried, onFailure } = start;
    const info = workflowInfo();
    this.kind = start.kind;
    this.name = start.name;
    this.settings = start.run;
    this.calls = start.calls;
    this.owner = start.owner;
    this.run = carried?.run ?? info.firstExecutionRunId;
    this.startedAt = carried?.startedAt ?? info.startTime.toISOString();
    this.scheduledTime = start.scheduledTime ?? this.startedAt;
    this.policy = { ...onFailure, mode: carried?.policy.mode ?? onFailure.mode };
    this.policy = { ...this.policy, attempts: carried?.policy.attempts ?? onFailure.attempts };
    this.parallel = carried?.policy.parallel ?? start.run.parallel;
    this.ref = carried?.ref ?? null;
    this.plan = carried?.plan ?? null;
    this.totals = carried?.totals ?? noTotals;
    this.warnings = carried?.warnings ?? [];
    this.retryRound = carried?.retryRound ?? 0;
    this.retryRequested = carried?.retryRequested ?? false;
    this.paused = carried?.paused ?? false;
    this.stopped = carried?.stopped ?? null;
    this.dispatch = dispatchOf(carried);
  }

  /** The present load is planned. `again`: it ran before, and only what its ledger misses is loaded. */
  begin(prepared: PreparedLoad, { again }: { readonly again: boolean }): void {
    const { ref, plan, warnings, alreadyDone } = prepared;
    this.ref = ref;
    this.plan = plan;
    this.warnings = [...this.warnings, ...warnings];
    if (!again) return;
    this.totals = { ...this.totals, unitsDone: alreadyDone, unitsSkipped: plan.units - alreadyDone };
    this.beginRetryPass();
  }

  /** Another load, with nothing done; control and warnings stay. */
  beginStage(calls: BatchCalls, place: Place): void {
    this.calls = calls;
    this.place = place;
    this.siteTrouble = null;
    this.step = 'init';
    this.ref = null;
    this.plan = null;
    this.totals = noTotals;
    this.retryRound = 0;
    this.retryRequested = false;
    this.dispatch = dispatchOf(undefined);
    this.touch();
  }

  /** Everything of the present load again, but only what its ledger misses. */
  beginRetryPass(): void {
    this.retryRequested = false;
    this.retryRound += 1;
    this.dispatch = dispatchOf(undefined);
  }

  /** The scope of everything that a pause takes back. */
  get scope(): CancellationScope {
    return this.session;
  }

  /** Cancels what is in flight, whoever calls; what is started from now on is not affected. */
  interrupt(): void {
    this.session.cancel();
    this.session = new CancellationScope({ cancellable: true, parent: this.outside });
  }

  /** What a call says of the site that it was for: `code` null when it was answered. */
  noteSite(code: ErrorCode | null): void {
    if (code !== 'job.siteDown') {
      this.siteTrouble = null;
      return;
    }
    const queue = this.place.taskQueue ?? '';
    const message = `No worker on task queue "${queue}" takes the work; the job waits for one.`;
    this.siteTrouble = { code, message, attempts: 1 };
  }

  touch(): void {
    this.changes += 1;
  }

  /** What stops this run for good once nothing is in flight; null while there is nothing of the kind. */
  get ending(): EarlyEnding | null {
    if (this.removeRequested) return 'remove';
    if (this.cancelRequested) return 'cancel';
    if (this.fatal !== null || this.pinnedTooLong) return 'fail';
    return this.historyIsLong ? 'continue' : null;
  }

  /** Nothing new may start. */
  get held(): boolean {
    return this.paused || this.stopped !== null || this.ending !== null;
  }

  get pinnedTooLong(): boolean {
    return this.pinned && workflowInfo().historyLength > longestHistory;
  }

  private get historyIsLong(): boolean {
    if (this.owner !== undefined) return this.owner.letGo;
    if (this.pinned) return false;
    const info = workflowInfo();
    const limit = Math.max(longHistory / 3, longHistory - eventsPerCall * this.parallel);
    return info.continueAsNewSuggested || info.historyLength > limit;
  }

  /** Pending activities must not share an id; after continue-as-new counting begins anew. */
  activityId(label: string): string {
    if (this.owner !== undefined) return this.owner.activityId(label);
    const id = label.slice(0, 200);
    const count = (this.namesUsed.get(id) ?? 0) + 1;
    this.namesUsed.set(id, count);
    return count === 1 ? id : `${id}~${count}`;
  }

  end(how: 'done' | 'failed' | 'removed', note: string | null = null): void {
    this.ended = how;
    this.endedAt = new Date().toISOString();
    this.endNote = note;
    if (how === 'done') this.step = 'done';
    this.touch();
    this.publish();
  }

  get status(): JobStatus {
    const inFlight = this.dispatch.inFlightBatches.reduce((units, { batch }) => units + batch.units, 0);
    const status = statusOf({
      name: this.name,
      kind: this.kind,
      step: this.step,
      paused: this.paused,
      stopped: this.stopped,
      ended: this.ended,
      note: this.endNote ?? this.pauseReason,
      totals: this.totals,
      plan: this.plan,
      unitsInFlight: inFlight,
      busy: inFlight > 0 || this.stepRunning,
      trouble: this.siteTrouble ?? this.stepTrouble ?? worstTrouble(this.dispatch.waitingBatches),
      startedAt: this.startedAt,
      endedAt: this.endedAt,
      onFailure: { mode: this.policy.mode, attempts: this.policy.attempts },
    });
    return { ...status, ...this.stageStatus() };
  }

  /** Shows the state in the UI: attributes when they differ, the table at most once a second. */
  publish(): void {
    if (this.owner !== undefined) {
      this.owner.publish();
      return;
    }
    const { status } = this;
    publishAttributes(status);
    const face = `${status.stage ?? ''} ${status.phase} ${status.state} ${status.reason ?? ''}`;
    const now = Date.now();
    if (face === this.shown && now - this.detailsAt < detailsEveryMs) return;
    this.shown = face;
    this.detailsAt = now;
    setCurrentDetails(detailsOf(status, percentDone(this.totals, this.plan)));
  }

  /** What the next run needs; only when nothing is in flight. */
  get carried(): CopyCarried {
    const { cursor, cursorDone, waiting, skippedSlices } = this.dispatch.carry(Date.now());
    return {
      run: this.run,
      startedAt: this.startedAt,
      ref: this.ref,
      cursor,
      cursorDone,
      waiting,
      totals: this.totals,
      plan: this.plan,
      paused: this.paused,
      policy: { mode: this.policy.mode, attempts: this.policy.attempts, parallel: this.parallel },
      retryRound: this.retryRound,
      retryRequested: this.retryRequested,
      ...(this.stopped === null ? {} : { stopped: this.stopped }),
      skippedSlices,
      warnings: this.warnings,
    };
  }
}

function dispatchOf(carried: CopyCarried | undefined): Dispatch {
  const now = Date.now();
  return new Dispatch({
    cursor: carried?.cursor ?? 0,
    cursorDone: carried?.cursorDone ?? false,
    waiting: (carried?.waiting ?? []).map((item) => ({ ...item, dueAt: now + (item.dueInMs ?? 0) })),
    skippedSlices: carried?.skippedSlices ?? [],
  });
}
