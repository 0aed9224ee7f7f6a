import { stableHash } from './stable-hash.ts';

export interface BackupIdentity {
  readonly job: string;
  /** First run id of the workflow chain. */
  readonly run: string;
  /** When the run was due, ISO 8601. */
  readonly scheduledTime: string;
}

/**
 * Name of the backup that a run makes: `20260101T143000000Z-1f3a5b7c`, the UTC time at which the run was due, to the
 * millisecond, and a hash of job and run. The same run always makes the same backup, however often its activities are
 * repeated; ids of one job sort by the time they were due. Throws RangeError when the time is not ISO 8601.
 */
export function backupIdOf({ job, run, scheduledTime }: BackupIdentity): string {
  const due = new Date(scheduledTime).toISOString().replaceAll(/[-:.]/g, '');
  return `${due}-${stableHash(JSON.stringify([job, run])).slice(0, 8)}`;
}
