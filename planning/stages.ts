import type { BackupPlace, BackupStage, ResolvedBackupRestoreJob } from '../definitions/contracts/job.ts';

/** Where the backups lie that a restore reads: the far end where there is one. */
export function restorePlace(job: Pick<ResolvedBackupRestoreJob, 'backup' | 'transfer'>): BackupPlace {
  const { store, path } = job.transfer ?? job.backup;
  return { store, path };
}

/** Where the plan and the receipts of a stage are kept: beside what it writes. `path` is null in a database. */
export function storeOfPlan(
  job: ResolvedBackupRestoreJob,
  stage: BackupStage,
): { readonly store: string; readonly path: string | null } {
  if (stage === 'backup') return job.backup;
  if (stage === 'transfer') return job.transfer ?? job.backup;
  return { store: job.restore?.store ?? restorePlace(job).store, path: null };
}

/**
 * The store near which a stage runs: rows are read and written where the database is, and objects are sent from where
 * they lie. A site therefore needs no connection to the database of the other.
 */
export function storeOfStage(job: ResolvedBackupRestoreJob, stage: BackupStage): string {
  switch (stage) {
    case 'backup':
      return job.source?.store ?? job.backup.store;
    case 'transfer':
      return job.backup.store;
    case 'restore':
      return job.restore?.store ?? restorePlace(job).store;
  }
}
