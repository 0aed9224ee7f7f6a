import { type ActivityOptions, condition } from '@temporalio/workflow';
import { decideFailure, quickAttempts } from '../planning/retry-budget.ts';
import { errorTable } from '../definitions/errors.ts';
import type { EarlyEnding, JobRun } from './job-run.ts';
import { type CallFailure, callFailureOf, failureWith } from './failures.ts';
import { callOptions } from './proxies.ts';

export type StepEnd<T> = { readonly value: T } | { readonly ending: EarlyEnding };

export interface Step<T> {
  readonly label: string;
  readonly summary: string;
  call(options: ActivityOptions): Promise<T>;
  /** What no attempt can cure stops the work instead of failing the workflow, in which others go on. */
  refused?(failure: CallFailure): void;
}

/** What a step needs of the one that it is a step of. */
export interface StepHost extends Pick<
  JobRun,
  'ending' | 'held' | 'scope' | 'policy' | 'place' | 'wakes' | 'publish' | 'touch' | 'activityId' | 'noteSite'
> {
  stopped: JobRun['stopped'];
  stepRunning: JobRun['stepRunning'];
  stepTrouble: JobRun['stepTrouble'];
}

/**
 * One call that the job as a whole depends on (prepare, finish). It obeys pause, stop, removal and cancellation like
 * the load does, and fails by the job's fail mode, except that there is nothing to skip: `skip` acts as `stop`.
 * What no attempt can cure (`never`, a refused preflight) fails the workflow with that code.
 */
export async function runStep<T>(job: StepHost, step: Step<T>): Promise<StepEnd<T>> {
  for (let attempts = 0; ;) {
    const ending = await untilReleased(job);
    if (ending !== null) return { ending };
    const call = await tryOnce(job, step);
    if ('value' in call) {
      job.noteSite(null);
      job.stepTrouble = null;
      return call;
    }
    if (call.failure === null) continue;
    attempts += call.failure.attempts;
    const { failure } = call;
    attempts = isIncurable(failure)
      ? afterRefusal(job, failure, step)
      : await afterFailure(job, failure, attempts);
  }
}

/** Waits while paused or stopped. */
async function untilReleased(job: StepHost): Promise<EarlyEnding | null> {
  job.publish();
  await condition(() => job.ending !== null || !job.held);
  return job.ending;
}

type Tried<T> = { readonly value: T } | { readonly failure: CallFailure | null };

/** `failure: null` means that the call was taken back. */
async function tryOnce<T>(job: StepHost, step: Step<T>): Promise<Tried<T>> {
  const { scope } = job;
  const name = { activityId: job.activityId(step.label), summary: step.summary };
  job.stepRunning = true;
  job.publish();
  try {
    return { value: await scope.run(() => step.call(callOptions(job, name, quickAttempts))) };
  } catch (error) {
    return { failure: scope.consideredCancelled ? null : callFailureOf(error, quickAttempts) };
  } finally {
    job.stepRunning = false;
    job.touch();
  }
}

export function isIncurable({ code }: Pick<CallFailure, 'code'>): boolean {
  return code === 'preflight.refused' || errorTable[code].retry === 'never';
}

function afterRefusal<T>(job: StepHost, failure: CallFailure, step: Step<T>): number {
  const { code, message, details } = failure;
  job.noteSite(code);
  if (step.refused === undefined) throw failureWith(code, message, details);
  job.stopped = { code, message };
  step.refused(failure);
  return 0;
}

/** Returns the attempts that count from now on: none after an operator resumed. */
async function afterFailure(job: StepHost, failure: CallFailure, attempts: number): Promise<number> {
  const { code, message } = failure;
  job.noteSite(code);
  const decision = decideFailure({ code, attempts }, job.policy);
  job.stepTrouble = { code, message, attempts };
  if (decision.next !== 'wait') {
    job.stopped = { code, message };
    return 0;
  }
  job.publish();
  const { wakes } = job;
  await condition(() => job.held || job.wakes !== wakes, decision.waitMs);
  return attempts;
}
