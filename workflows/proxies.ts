import { type ActivityOptions, proxyActivities } from '@temporalio/workflow';
import type { BackupRestoreActivities } from '../definitions/contracts/backup-restore.ts';
import type { CopyActivities } from '../definitions/contracts/copy.ts';
import type { CutActivities, DuplicationActivities } from '../definitions/contracts/duplication.ts';
import type { JobRun } from './job-run.ts';

/** What is taken back has come back before it is handed out again: two attempts of one unit would only fight. */
const cancellationType = 'WAIT_CANCELLATION_COMPLETED';

/** Moving data: as long as it takes, but a lost worker shows within seconds, and a pause arrives within them. */
export const moving = proxyActivities<
  Pick<CopyActivities, 'prepareCopy' | 'loadUnits' | 'finishChunk' | 'finishCopy'> &
    Omit<
      BackupRestoreActivities,
      'planBackupRestore' | 'latestStage' | 'moveWatermark' | 'removeStage' | 'dropLog'
    >
>({ startToCloseTimeout: '12 hours', heartbeatTimeout: '10 seconds', cancellationType });

/** Reads the ledger: an answer that nobody waits for any more does no harm. */
export const reading = proxyActivities<
  Pick<CopyActivities, 'listBatches' | 'latestLoad'> & Pick<BackupRestoreActivities, 'latestStage'>
>({
  startToCloseTimeout: '2 minutes',
  cancellationType: 'TRY_CANCEL',
});

/** Writes one row. It does not heartbeat, so the time-out is also the longest that a pause may wait for it. */
export const writing = proxyActivities<
  Pick<CopyActivities, 'skipUnit'> & Pick<BackupRestoreActivities, 'moveWatermark'>
>({
  startToCloseTimeout: '30 seconds',
  cancellationType,
});

/** Following a log, and what nobody may do beside it. All of them heartbeat; a follow ends by itself after a while. */
export const linking = proxyActivities<
  Omit<DuplicationActivities, 'planDuplication' | 'watchLink' | 'setLinkTable' | 'removeLink'>
>({ startToCloseTimeout: '12 hours', heartbeatTimeout: '10 seconds', cancellationType });

/** The end of a log that a copy followed. */
export const cutting = proxyActivities<CutActivities>({
  startToCloseTimeout: '12 hours',
  heartbeatTimeout: '10 seconds',
  cancellationType,
});

/** A look at what a link retains, a word to it. They do not heartbeat: a pause waits for none of them. */
export const watching = proxyActivities<Pick<DuplicationActivities, 'watchLink' | 'setLinkTable'>>({
  startToCloseTimeout: '1 minute',
  cancellationType: 'TRY_CANCEL',
});

/** Bounded, so that a job can always be got rid of: what cannot be cleaned up is said, not tried for ever. */
export const removal = proxyActivities<
  Pick<CopyActivities, 'removeCopy'> &
    Pick<BackupRestoreActivities, 'removeStage' | 'dropLog'> &
    Pick<DuplicationActivities, 'removeLink'>
>({
  startToCloseTimeout: '5 minutes',
  scheduleToCloseTimeout: '5 minutes',
  heartbeatTimeout: '10 seconds',
  cancellationType,
  retry: {
    maximumAttempts: 10,
    initialInterval: '1 second',
    backoffCoefficient: 2,
    maximumInterval: '30 seconds',
  },
});

export interface ActivityName {
  /** Shown under Pending Activities; unique within the run. */
  readonly activityId: string;
  /** Shown in the Timeline. */
  readonly summary: string;
}

/** What every call sets by itself: names for the UI, and how often Temporal tries before the workflow is asked. */
export function callOptions(
  { policy, place }: Pick<JobRun, 'policy' | 'place'>,
  name: ActivityName,
  maximumAttempts: number,
): ActivityOptions {
  return {
    ...place,
    activityId: name.activityId,
    summary: name.summary,
    retry: {
      maximumAttempts,
      initialInterval: policy.backoffInitialMs,
      backoffCoefficient: 2,
      maximumInterval: Math.max(policy.backoffInitialMs, policy.backoffMaxMs),
    },
  };
}
