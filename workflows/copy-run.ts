import { CancellationScope, setCurrentDetails, workflowInfo } from '@temporalio/workflow';
import type {
  CopyCarried,
  CopyInput,
  CopyTotals,
  LoadRef,
  PlanTotals,
  PrepareInput,
} from '../definitions/contracts/copy.ts';
import type { ResolvedFailurePolicy } from '../definitions/contracts/job.ts';
import type { JobStatus } from '../definitions/contracts/status.ts';
import type { ErrorCode } from '../definitions/errors.ts';
import { Dispatch } from '../planning/dispatch.ts';
import { noTotals, percentDone, statusOf, type Trouble, worstTrouble } from '../planning/progress.ts';
import { publishAttributes } from './search-attributes.ts';
import { detailsOf } from './status-details.ts';

/** Why the work of a run ended: all done, an operator's word, or a history that grew long. */
export type Ending = 'finished' | 'remove' | 'cancel' | 'continue';

/** Below the 4,096 events at which a server suggests it, with room for what is still in flight. */
const longHistory = 3_000;
const eventsPerCall = 6;
const detailsEveryMs = 1_000;

/**
 * The state of one run of a copy, in one place: the loops change it, Updates change it, the status is derived from it.
 * Whoever changes something that a loop may wait for calls `touch`.
 */
export class CopyRun {
  readonly input: CopyInput;
  readonly run: string;
  readonly startedAt: string;
  readonly scheduledTime: string;
  policy: ResolvedFailurePolicy;
  parallel: number;

  step: 'init' | 'load' | 'finish' | 'done' = 'init';
  ref: LoadRef | null;
  plan: PlanTotals | null;
  totals: CopyTotals;
  warnings: readonly string[];
  dispatch: Dispatch;
  /** Passes over the dead letters begun so far; 0 = the ordinary pass. */
  retryRound: number;
  retryRequested: boolean;

  paused: boolean;
  pauseReason: string | null = null;
  stopped: { readonly code: ErrorCode; readonly message: string } | null;
  removeRequested = false;
  cancelRequested = false;
  ended: 'done' | 'failed' | 'removed' | null = null;
  private endedAt: string | null = null;
  private endNote: string | null = null;
  /** A call that is not about one batch (prepare, list, finish) and is out, or waits for another attempt. */
  stepRunning = false;
  stepTrouble: Trouble | null = null;

  /** Grows with every change; what waits compares it. */
  changes = 0;
  /** Grows when what waits for time must go at once. */
  wakes = 0;
  private session = new CancellationScope();
  private readonly namesUsed = new Map<string, number>();
  private detailsAt = 0;
  private shown = '';

  constructor(input: CopyInput) {
    const { carried, job } = input;
    const info = workflowInfo();
    this.input = input;
    this.run = carried?.run ?? info.firstExecutionRunId;
    this.startedAt = carried?.startedAt ?? info.startTime.toISOString();
    this.scheduledTime = input.scheduledTime ?? this.startedAt;
    this.policy = { ...job.onFailure, mode: carried?.policy.mode ?? job.onFailure.mode };
    this.policy = { ...this.policy, attempts: carried?.policy.attempts ?? job.onFailure.attempts };
    this.parallel = carried?.policy.parallel ?? job.run.parallel;
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

  get name(): string {
    return this.input.job.name;
  }

  get prepareInput(): PrepareInput {
    return { job: this.input.job, run: this.run, scheduledTime: this.scheduledTime };
  }

  /** The scope of everything that a pause takes back. */
  get scope(): CancellationScope {
    return this.session;
  }

  /** Cancels what is in flight; what is started from now on is not affected. */
  interrupt(): void {
    this.session.cancel();
    this.session = new CancellationScope();
  }

  touch(): void {
    this.changes += 1;
  }

  /** What stops this run for good once nothing is in flight; null while there is nothing of the kind. */
  get ending(): Exclude<Ending, 'finished'> | null {
    if (this.removeRequested) return 'remove';
    if (this.cancelRequested) return 'cancel';
    return this.historyIsLong ? 'continue' : null;
  }

  /** Nothing new may start. */
  get held(): boolean {
    return this.paused || this.stopped !== null || this.ending !== null;
  }

  private get historyIsLong(): boolean {
    const info = workflowInfo();
    const limit = Math.max(longHistory / 3, longHistory - eventsPerCall * this.parallel);
    return info.continueAsNewSuggested || info.historyLength > limit;
  }

  /** Pending activities must not share an id; after continue-as-new counting begins anew. */
  activityId(label: string): string {
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
    return statusOf({
      name: this.name,
      step: this.step,
      paused: this.paused,
      stopped: this.stopped,
      ended: this.ended,
      note: this.endNote ?? this.pauseReason,
      totals: this.totals,
      plan: this.plan,
      unitsInFlight: inFlight,
      busy: inFlight > 0 || this.stepRunning,
      trouble: this.stepTrouble ?? worstTrouble(this.dispatch.waitingBatches),
      startedAt: this.startedAt,
      endedAt: this.endedAt,
      onFailure: { mode: this.policy.mode, attempts: this.policy.attempts },
    });
  }

  /** Shows the state in the UI: attributes when they differ, the table at most once a second. */
  publish(): void {
    const { status } = this;
    publishAttributes(status);
    const face = `${status.phase} ${status.state} ${status.reason ?? ''}`;
    const now = Date.now();
    if (face === this.shown && now - this.detailsAt < detailsEveryMs) return;
    this.shown = face;
    this.detailsAt = now;
    setCurrentDetails(detailsOf(status, percentDone(this.totals, this.plan)));
  }

  /** Input of the next run; only when nothing is in flight. */
  get continued(): CopyInput {
    const { cursor, cursorDone, waiting, skippedSlices } = this.dispatch.carry(Date.now());
    const carried: CopyCarried = {
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
    return { ...this.input, scheduledTime: this.scheduledTime, carried };
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
