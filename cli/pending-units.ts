import type { temporal } from '@temporalio/proto';
import type { TemporalAccess } from '../worker/connection.ts';
import { describeExisting, type JobAddress } from './client.ts';

/** An activity that has failed at least once and is tried again. */
export interface PendingUnit {
  /** `public.trades_20240103`, or a range of small chunks. */
  readonly activity: string;
  readonly attempt: number;
  readonly code: string;
  readonly message: string;
  /** ISO 8601; null while it runs. */
  readonly nextAttemptAt: string | null;
}

export async function pendingUnits(access: TemporalAccess, address: JobAddress): Promise<PendingUnit[]> {
  const { raw } = await describeExisting(access, address);
  return (raw.pendingActivities ?? []).flatMap((pending) => {
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
}

type Timestamp = temporal.api.workflow.v1.IPendingActivityInfo['scheduledTime'];

function instant(time: Timestamp): string | null {
  const seconds = time?.seconds;
  if (seconds === undefined || seconds === null) return null;
  return new Date(Number(seconds) * 1000).toISOString();
}
