import type { ResolvedJob } from './job.ts';

/** Argument of the workflow `launch`: started by a schedule, its only child is `<kind>/<job>`. */
export interface LaunchInput {
  readonly job: ResolvedJob;
  readonly definitionHash: string;
  /** When the run was due, ISO 8601; absent means as the schedule says, or the start of the launcher. */
  readonly scheduledTime?: string;
  /** Of kind `backup-restore`: BackupRestoreInput.queues. */
  readonly queues?: Readonly<Record<string, string>>;
}

export interface LaunchResult {
  /** `skipped`: another run held the id and `overlap` is `skip`. */
  readonly outcome: 'ran' | 'skipped';
  readonly child: string;
}
