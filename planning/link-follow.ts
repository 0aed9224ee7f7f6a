import type { LinkProgress } from '../definitions/contracts/duplication.ts';
import type { ResolvedFailurePolicy } from '../definitions/contracts/job.ts';
import type { ErrorCode } from '../definitions/errors.ts';
import { decideFailure, type Failed } from './retry-budget.ts';

/** The log is not there any more, or does not fit what was loaded: only loading again helps. */
const lost: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'log.slotLost',
  'log.gap',
  'log.otherTimeline',
  'log.retentionExceeded',
]);

/** Whether `resume` has to begin the next generation. */
export function isLogLost(code: ErrorCode): boolean {
  return lost.has(code);
}

export type FollowDecision =
  | { readonly next: 'wait'; readonly waitMs: number }
  | { readonly next: 'stop' }
  /** The next generation begins by itself. */
  | { readonly next: 'again' };

/**
 * What becomes of a link whose log cannot be followed. Rows that the target refuses are set aside by the follow itself, so
 * there is nothing to skip here: `skip` acts as `stop`.
 */
export function decideFollowFailure(failed: Failed, policy: ResolvedFailurePolicy): FollowDecision {
  // An operator set this limit: loading again by itself would only run into it once more.
  if (failed.code === 'log.retentionExceeded') return { next: 'stop' };
  if (isLogLost(failed.code)) return { next: policy.mode === 'slow' ? 'again' : 'stop' };
  const decision = decideFailure(failed, policy);
  return decision.next === 'wait' ? decision : { next: 'stop' };
}

const shortestFollowMs = 15_000;
const longestFollowMs = 5 * 60_000;
const longestWhileLoadingMs = 60_000;

/** Each follow may last twice as long as the one before it, so that figures are fresh while things change. */
export function followForMs(quietFollows: number, { loading }: { readonly loading: boolean }): number {
  const longest = loading ? longestWhileLoadingMs : longestFollowMs;
  return Math.min(longest, shortestFollowMs * 2 ** Math.min(quietFollows, 10));
}

const shortFollowMs = 2_000;

/** Follows that end by themselves at once, again and again, would fill the history: they are begun again more slowly. */
export function isShortFollow(ms: number): boolean {
  return ms < shortFollowMs;
}

export function pauseBeforeFollowMs(shortFollows: number): number {
  return shortFollows < 3 ? 0 : Math.min(30_000, 500 * 2 ** Math.min(shortFollows - 3, 10));
}

export const firstWatchMs = 30_000;
const longestWatchMs = 10 * 60_000;

/** When to look again at what a link retains that nobody follows: soon when it could exceed the limit, seldom when it is still. */
export function nextWatchMs(
  before: { readonly retainedBytes: number | null; readonly intervalMs: number },
  now: Pick<LinkProgress, 'retainedBytes'>,
  maxLogBytes: number,
): number {
  if (before.retainedBytes === null || now.retainedBytes === null) return firstWatchMs;
  const grown = now.retainedBytes - before.retainedBytes;
  const longer = Math.min(longestWatchMs, before.intervalMs * 2);
  if (grown <= 0) return longer;
  const untilFullMs = ((maxLogBytes - now.retainedBytes) / grown) * before.intervalMs;
  return Math.round(Math.min(longer, Math.max(firstWatchMs, untilFullMs / 4)));
}
