import { CancellationScope } from '@temporalio/workflow';
import { callFailureOf, failureWith } from './failures.ts';
import type { EarlyEnding, JobRun } from './job-run.ts';
import { callOptions, moving, removal } from './proxies.ts';
import type { StageRun } from './stage-run.ts';

/** Workers that end, and servers that are away for a while, cost nothing: the source keeps its log meanwhile. */
const attempts = 1_000;

/**
 * Makes the source keep its log beside a backup, and watches it. Once it is lost the units cannot be brought to one instant any
 * more, so the job ends with the reason. However the stage ends, the source is told that it may forget it. Answers what ends it.
 */
export function keepLogBeside(
  job: JobRun,
  stages: StageRun,
): (ended: EarlyEnding | 'finished' | 'failed') => Promise<void> {
  const scope = new CancellationScope();
  const { place } = job;
  const name = { activityId: job.activityId('log'), summary: 'Keep the log of the source' };
  const kept = scope
    .run(() => moving.keepLog.executeWithOptions(callOptions(job, name, attempts), [stages.input]))
    .catch((error: unknown) => {
      if (scope.consideredCancelled) return;
      job.fatal = callFailureOf(error, attempts);
      job.interrupt();
      job.touch();
    });
  return async (ended) => {
    scope.cancel();
    await kept;
    // The next run goes on with it; `remove` cleans up after every stage, and says what it cannot.
    if (ended === 'continue' || ended === 'remove') return;
    const options = { activityId: job.activityId('log end'), summary: 'End the log of the backup', ...place };
    try {
      await removal.dropLog.executeWithOptions(options, [stages.input]);
    } catch (error) {
      // What ended the job is what is said of it.
      if (ended !== 'finished') return;
      const { code, message, details } = callFailureOf(error, 1);
      throw failureWith(code, message, details);
    }
  };
}
