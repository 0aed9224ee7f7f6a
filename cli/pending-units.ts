import type { temporal } from '@temporalio/proto';
import type { TemporalAccess } from '../worker/connection.ts';
import { describeExisting, type JobAddress } from '../worker/jobs/job-address.ts';
import { queryStatus } from '../worker/jobs/job-status.ts';

/** What has failed at least once and is tried again. */
export interface PendingUnit {
  /** `public.trades_20240103`, or a range of small chunks. */
  readonly activity: string;
  /** Null where only the job itself counts them. */
  readonly attempt: number | null;
  readonly code: string;
  readonly message: string;
  /** ISO 8601; null while it runs, and where only the job itself knows. */
  readonly nextAttemptAt: string | null;
}

/**
 * Quick retries are Temporal's; a unit that waits longer waits inside the job, which tells of the worst one only.
 */
export async function pendingUnits(access: TemporalAccess, address: JobAddress): Promise<PendingUnit[]> {
  const { raw, status } = await describeExisting(access, address);
  const retried = (raw.pendingActivities ?? []).flatMap((pending) => {
    const { lastFailure, activityId, attempt, scheduledTime } = pending;
    if (lastFailure === undefined || lastFailure === null) return [];
    return [
      {
        activity: activityId ?? '',
        attempt: attempt ?? 0,
        code: lastFailure.applicationFailureInfo?.type ?? 'internal.unexpected',
        message: lastFailure.message ?? '',
        nextAttemptAt: instant(scheduledTime),
      },
    ];
  });
  const told = status.name === 'RUNNING' ? await queryStatus(access, address) : null;
  if (told?.reason === null || told?.reason === undefined || told.reasonCode === null) return retried;
  const { reason, reasonCode } = told;
  const [label = '', ...rest] = reason.split(': ');
  const waiting = { activity: label, attempt: null, code: reasonCode, nextAttemptAt: null };
  return retried.some(({ activity }) => activity === label)
    ? retried
    : [...retried, { ...waiting, message: rest.join(': ') }];
}

type Timestamp = temporal.api.workflow.v1.IPendingActivityInfo['scheduledTime'];

function instant(time: Timestamp): string | null {
  const seconds = time?.seconds;
  if (seconds === undefined || seconds === null) return null;
  return new Date(Number(seconds) * 1000).toISOString();
}
