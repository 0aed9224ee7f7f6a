import type {
  BatchPage,
  LoadUnitsInput,
  LoadUnitsResult,
  UnitFailure,
} from '../definitions/contracts/copy.ts';
import { attemptsOfOneDispatch, quickAttempts } from '../planning/retry-budget.ts';
import type { DueBatch } from '../planning/dispatch.ts';
import type { JobRun } from './job-run.ts';
import { failureWith } from './failures.ts';
import { callOptions } from './proxies.ts';

export type Outcome =
  | { readonly kind: 'loaded'; readonly item: DueBatch; readonly result: LoadUnitsResult }
  | { readonly kind: 'skipped'; readonly item: DueBatch; readonly failure: UnitFailure }
  | { readonly kind: 'page'; readonly page: BatchPage }
  | FailedOutcome;

export interface FailedOutcome {
  readonly kind: 'failed';
  readonly what: 'load' | 'skip' | 'list';
  /** Null for `list`. */
  readonly item: DueBatch | null;
  readonly error: unknown;
  readonly maximumAttempts: number;
  /** The call was taken back by a pause, a removal or a cancellation: its error says nothing about the data. */
  readonly interrupted: boolean;
}

/**
 * The calls in flight during the load. Every promise ends in the list of outcomes and none rejects, so that a late
 * failure can never become an unhandled rejection, which would fail the workflow task for ever.
 */
export class ChunkWindow {
  private readonly job: JobRun;
  private outcomes: Outcome[] = [];
  private open = 0;
  private listingOut = false;

  constructor(job: JobRun) {
    this.job = job;
  }

  /** Calls in flight, listing included. */
  get size(): number {
    return this.open;
  }

  get listing(): boolean {
    return this.listingOut;
  }

  /** What ended since the last call, in the order of its ending. */
  settled(): readonly Outcome[] {
    const { outcomes } = this;
    this.outcomes = [];
    return outcomes;
  }

  list(after: number, limit: number): void {
    const { job } = this;
    const name = { activityId: job.activityId(`list after ${after}`), summary: `Next units after ${after}` };
    const input = { ref: refOf(job), after, limit, onlyMissing: job.retryRound > 0 };
    this.listingOut = true;
    this.start({ what: 'list', item: null, maximumAttempts: quickAttempts }, async () => {
      const options = callOptions(job, name, quickAttempts);
      return { kind: 'page', page: await job.calls.list(options, input) };
    });
  }

  load(item: DueBatch): void {
    const { job } = this;
    const { batch } = item;
    const maximumAttempts = attemptsOfOneDispatch(item.attempts, job.policy);
    const name = { activityId: job.activityId(batch.label), summary: batch.label };
    const input = this.loadInput(item);
    this.start({ what: 'load', item, maximumAttempts }, async () => {
      const options = callOptions(job, name, maximumAttempts);
      const { calls } = job;
      const result = await (batch.kind === 'finish'
        ? calls.finishChunk(options, input)
        : calls.load(options, input));
      return { kind: 'loaded', item, result };
    });
  }

  skip(item: DueBatch, failure: UnitFailure): void {
    const { job } = this;
    const name = {
      activityId: job.activityId(`skip ${item.batch.label}`),
      summary: `Set aside ${item.batch.label}`,
    };
    this.start({ what: 'skip', item, maximumAttempts: quickAttempts }, async () => {
      const options = callOptions(job, name, quickAttempts);
      await job.calls.skip(options, { ref: refOf(job), failure });
      return { kind: 'skipped', item, failure };
    });
  }

  private start(
    call: Omit<FailedOutcome, 'kind' | 'error' | 'interrupted'>,
    act: () => Promise<Outcome>,
  ): void {
    const { scope } = this.job;
    this.open += 1;
    const ended = (outcome: Outcome): void => {
      this.open -= 1;
      if (call.what === 'list') this.listingOut = false;
      this.outcomes.push(outcome);
      this.job.touch();
    };
    scope
      .run(act)
      .then(ended, (error: unknown) =>
        ended({ kind: 'failed', ...call, error, interrupted: scope.consideredCancelled }),
      );
  }

  /** The throttle is the job's; a call gets its share. `memory` is kept by each worker over all its calls. */
  private loadInput({ batch }: DueBatch): LoadUnitsInput {
    const { job } = this;
    const { dispatch, parallel, settings } = job;
    const sharers = Math.max(1, dispatch.listingDone ? Math.min(parallel, dispatch.known) : parallel);
    const throttle = settings.throttleBytesPerSecond;
    return {
      ref: refOf(job),
      batch,
      verify: settings.verify,
      ...(job.onlyChanged ? { onlyChanged: true } : {}),
      memoryBytes: settings.memoryBytes,
      ...(throttle === undefined
        ? {}
        : { throttleBytesPerSecond: Math.max(1, Math.floor(throttle / sharers)) }),
    };
  }
}

function refOf(job: JobRun): LoadUnitsInput['ref'] {
  if (job.ref === null)
    throw failureWith('internal.unexpected', 'The load was begun before it was prepared.');
  return job.ref;
}
