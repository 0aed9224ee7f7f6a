import type { WaitingBatch } from '../definitions/contracts/copy.ts';
import type { ResolvedFailurePolicy } from '../definitions/contracts/job.ts';
import { type ErrorCode, errorTable } from '../definitions/errors.ts';

/** What happens to a unit, or to a step of the job, that failed. */
export type FailureDecision =
  | { readonly next: 'wait'; readonly waitMs: number }
  /** Set aside as a dead letter. */
  | { readonly next: 'skip' }
  /** The job stops and waits for an operator. */
  | { readonly next: 'stop' };

export interface Failed {
  readonly code: ErrorCode;
  /** Attempts made so far, this one included; at least 1. */
  readonly attempts: number;
}

/** Attempts that Temporal makes by itself, seconds apart, before the workflow is asked. */
export const quickAttempts = 3;

/**
 * | retry by code | slow  | skip                  | stop                  |
 * |---------------|-------|-----------------------|-----------------------|
 * | automatic     | wait  | wait, at the end skip | wait, at the end stop |
 * | after-fix     | wait  | skip                  | stop                  |
 * | never         | stop  | skip                  | stop                  |
 *
 * `job.siteDown` waits under every mode, and `attempts` should not grow by it.
 */
export function decideFailure(failed: Failed, policy: ResolvedFailurePolicy): FailureDecision {
  // Nobody has tried yet: a site that is down must not use up the attempts of what it would do.
  if (failed.code === 'job.siteDown') return { next: 'wait', waitMs: policy.backoffInitialMs };
  const { retry } = errorTable[failed.code];
  if (policy.mode === 'slow') {
    return retry === 'never'
      ? { next: 'stop' }
      : { next: 'wait', waitMs: backoffMs(failed.attempts, policy) };
  }
  if (retry === 'automatic' && failed.attempts < policy.attempts) {
    return { next: 'wait', waitMs: backoffMs(failed.attempts, policy) };
  }
  return { next: policy.mode };
}

/** Doubles from `backoffInitialMs` to `backoffMaxMs`. */
export function backoffMs(
  attempts: number,
  policy: Pick<ResolvedFailurePolicy, 'backoffInitialMs' | 'backoffMaxMs'>,
): number {
  const doublings = Math.min(Math.max(attempts - 1, 0), 40);
  return Math.max(1, Math.min(policy.backoffMaxMs, policy.backoffInitialMs * 2 ** doublings));
}

/** How often Temporal may try before the workflow is asked: never more than the budget has left. */
export function attemptsOfOneDispatch(attemptsMade: number, policy: ResolvedFailurePolicy): number {
  if (policy.mode === 'slow') return quickAttempts;
  return Math.max(1, Math.min(quickAttempts, policy.attempts - attemptsMade));
}

/** Whether somebody should look: the first quick attempts are nobody's business, a needed fix is at once. */
export function needsAttention(failed: Failed): boolean {
  return (
    errorTable[failed.code].retry !== 'automatic' ||
    failed.code === 'job.siteDown' ||
    failed.attempts >= quickAttempts
  );
}

/** These speak of a server, not of a chunk: the next chunk would fail like the last one. */
const storeWide: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'store.unreachable',
  'store.connectionLost',
  'store.authentication',
  'store.tooManyConnections',
  'store.diskFull',
  'job.siteDown',
]);

/** More batches with an error than this are not piled up; they travel in every continue-as-new. */
export const maxFailing = 200;

/** Whether new work would only pile up behind what already waits with an error. */
export function holdsBackNewWork(waiting: readonly WaitingBatch[], parallel: number): boolean {
  const failing = waiting.filter(({ code }) => code !== null);
  const downs = failing.filter(({ code }) => code !== null && storeWide.has(code));
  return failing.length >= maxFailing || downs.length >= parallel;
}

/**
 * A batch of several units that failed as a whole says nothing about one of them: it is halved until the failing
 * unit stands alone, so that no good unit is skipped with a bad one. Each half has one attempt left.
 */
export function halves(waiting: WaitingBatch): readonly WaitingBatch[] {
  const { batch } = waiting;
  const middle = batch.from + Math.floor((batch.to - batch.from) / 2);
  return [part(waiting, batch.from, middle), part(waiting, middle + 1, batch.to)];
}

/** Units `from..to` of a batch, as a batch of its own. */
function part({ batch, attempts }: WaitingBatch, from: number, to: number): WaitingBatch {
  const units = to - from + 1;
  const label = `${batch.label} (${from === to ? from : `${from}–${to}`})`;
  return {
    batch: {
      ...batch,
      from,
      to,
      units,
      bytes: Math.round((batch.bytes * units) / batch.units),
      label: short(label),
    },
    attempts: Math.max(0, attempts - 1),
    code: null,
    message: null,
  };
}

/** Halving ten times must not leave ten brackets behind. */
function short(label: string): string {
  return label.replace(/ \([^()]*\)(?= \([^()]*\)$)/u, '');
}
