import type { ArtifactAddress, LoadRef } from '../../definitions/contracts/copy.ts';
import type { StageInput } from '../../definitions/contracts/backup-restore.ts';
import type {
  BackupPlace,
  ResolvedBackupRestoreJob,
  ResolvedCopyJob,
  ResolvedRestore,
  ResolvedSource,
} from '../../definitions/contracts/job.ts';
import { SynclineError } from '../../definitions/errors.ts';
import { backupIdOf } from '../../planning/backup-id.ts';
import { stableHash } from '../../planning/stable-hash.ts';
import type { Store, StoreProvider } from '../../stores/spi/store.ts';

/** Where each stage of a job works, and what its loads are called. */

/** Opens the backups at a place, or one of them. */
export function openPlace(stores: StoreProvider, place: BackupPlace, backup: string | null = null): Store {
  return stores.artifact(place.store, { path: place.path, backup });
}

/** Where a restore reads: the last place that the stages before bring a backup to. */
export function placeToRestore(job: ResolvedBackupRestoreJob): BackupPlace {
  return job.transfer ?? job.backup;
}

export function sourceSettings({ name, source }: ResolvedBackupRestoreJob): ResolvedSource {
  if (source === undefined) throw missing(name, 'source');
  return source;
}

export function transferPlace({ name, transfer }: ResolvedBackupRestoreJob): BackupPlace {
  if (transfer === undefined) throw missing(name, 'transfer');
  return transfer;
}

export function restoreSettings({ name, restore }: ResolvedBackupRestoreJob): ResolvedRestore {
  if (restore === undefined) throw missing(name, 'restore');
  return restore;
}

function missing(job: string, part: string): SynclineError {
  return new SynclineError('definition.invalid', `Job ${job} has a stage that needs \`${part}\`.`);
}

function addressOf(place: BackupPlace, backup: string): ArtifactAddress {
  return { path: place.path, backup };
}

/** One run makes one backup, however often its activities are repeated. */
export function backupRef({ job, run, scheduledTime }: StageInput): LoadRef {
  const backup = backupIdOf({ job: job.name, run, scheduledTime });
  return {
    job: job.name,
    load: `backup:${backup}`,
    run,
    sourceStore: sourceSettings(job).store,
    targetStore: job.backup.store,
    targetArtifact: addressOf(job.backup, backup),
  };
}

export function transferRef({ job, run }: Pick<StageInput, 'job' | 'run'>, backup: string): LoadRef {
  const far = transferPlace(job);
  return {
    job: job.name,
    load: `transfer:${backup}`,
    run,
    sourceStore: job.backup.store,
    targetStore: far.store,
    sourceArtifact: addressOf(job.backup, backup),
    targetArtifact: addressOf(far, backup),
  };
}

/**
 * Identity of a restore. An append of the same rows of the same backup is the same load for ever: repeating adds
 * nothing. What replaces or merges is a load of its run: asked for again, it is done, or compared, again.
 */
export function restoreIdentity({ job, run }: Pick<StageInput, 'job' | 'run'>, backup: string): string {
  const rows = rowsAsked(job);
  return `backup:${backup}@${restoreSettings(job).mode === 'append' ? rows : `${rows}.${run}`}`;
}

/** Whether a restore brought back what the job asks for today; it may have been told to take other tables since. */
export function isRestoreOfSame(job: ResolvedBackupRestoreJob, load: string): boolean {
  return /^backup:[^@]+@([0-9a-f]+)/.exec(load)?.[1] === rowsAsked(job);
}

/** Which rows, and where they go: everything of the selection but how it is cut. */
function rowsAsked(job: ResolvedBackupRestoreJob): string {
  const tables = restoreSettings(job).tables.map((table) => ({ ...table, chunkBytes: 0 }));
  return stableHash(JSON.stringify(tables));
}

/** The backup in the identity of a restore; null for any other load. */
export function restoredBackup(load: string): string | null {
  return /^backup:([^@]+)@/.exec(load)?.[1] ?? null;
}

/** A restore is a copy out of a backup. */
export function copyJobOf(job: ResolvedBackupRestoreJob): ResolvedCopyJob {
  const { store, mode, createTables, tables } = restoreSettings(job);
  return {
    kind: 'copy',
    name: job.name,
    onFailure: job.onFailure,
    source: { store: placeToRestore(job).store, tables },
    target: { store, mode, createTables },
    run: job.run,
  };
}
