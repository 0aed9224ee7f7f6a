import { CancellationScope } from '@temporalio/workflow';
import { callFailureOf } from './failures.ts';
import type { JobRun } from './job-run.ts';
import { moving } from './proxies.ts';
import type { StageRun } from './stage-run.ts';

/**
 * Keeps one snapshot open beside the backup. Once it is lost, no chunk can be read at the same instant any more, so the
 * job ends with the reason. A new run could not take the call over, so there is no continue-as-new meanwhile.
 * Answers what ends it.
 */
export function holdSnapshotBeside(job: JobRun, stages: StageRun): () => Promise<void> {
  const scope = new CancellationScope();
  job.pinned = true;
  const { snapshotLimitMs } = stages.definition.backup;
  const options = {
    activityId: job.activityId('snapshot'),
    summary: 'Hold one snapshot for all chunks',
    ...job.place,
    startToCloseTimeout: snapshotLimitMs + 60_000,
    retry: { maximumAttempts: 1 },
  };
  const held = scope
    .run(() => moving.holdSnapshot.executeWithOptions(options, [stages.input]))
    .catch((error: unknown) => {
      if (scope.consideredCancelled) return;
      const failure = callFailureOf(error, 1);
      const lost = failure.code === 'job.workerLost';
      job.fatal = lost
        ? { ...failure, code: 'source.snapshotLost', message: 'The worker that held the snapshot ended.' }
        : failure;
      job.interrupt();
      job.touch();
    });
  return async () => {
    scope.cancel();
    await held;
    job.pinned = false;
  };
}
