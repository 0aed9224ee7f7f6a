import { setTimeout as delay } from 'node:timers/promises';
import { type Outcome, skippedUnits } from '../../worker/jobs/outcome.ts';
import type { JobRun } from '../../test/e2e/lab/job-run.ts';

/** Longer than any plan can take on a busy machine. */
const patienceMs = 600_000;

/** Null when it did not end in time. */
export async function endOf(run: JobRun): Promise<Outcome | null> {
  const waiting = new AbortController();
  const late = delay(patienceMs, null, { signal: waiting.signal }).catch(() => null);
  const outcome = await Promise.race([run.ended(), late]);
  waiting.abort();
  return outcome;
}

/** Null: it ended as it should. */
export async function complaintOf(run: JobRun): Promise<string | null> {
  return complaintAbout(await endOf(run));
}

export function complaintAbout(outcome: Outcome | null): string | null {
  if (outcome === null) return 'The job did not end.';
  if (outcome.kind !== 'result') return outcome.message;
  const { result } = outcome;
  const skipped = skippedUnits(result);
  return result.state === 'done' && skipped === 0 ? null : `It ended as ${result.state}, ${skipped} skipped.`;
}
