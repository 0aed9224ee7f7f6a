import type { JobStatus } from '../definitions/contracts/status.ts';
import type { Outcome } from '../worker/jobs/outcome.ts';

/** How a wait ends: with the run, or, for a duplication, when all of its targets are consistent; then it goes on. */
export type WaitOutcome = Outcome | { readonly kind: 'settled'; readonly status: JobStatus };

/** Every target was equal to the source at one instant, and its log is followed from there. */
export function isSettled({ links = [] }: JobStatus): boolean {
  return (
    links.length > 0 &&
    links.every(({ phase, progress }) => phase === 'log' && (progress?.consistentAt ?? null) !== null)
  );
}
