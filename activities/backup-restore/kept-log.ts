import type { StageInput } from '../../definitions/contracts/backup-restore.ts';
import type { ResolvedBackupRestoreJob } from '../../definitions/contracts/job.ts';
import { backupLogNameOf } from '../../planning/link-load.ts';
import type { BackupWriter } from '../../stores/spi/artifact.ts';
import type { LinkAddress, LogSource, PublishedTable } from '../../stores/spi/log.ts';
import { requireCapability, type Store, type StoreProvider } from '../../stores/spi/store.ts';
import type { DescribedTable } from '../copy/describe-job.ts';
import { targetOf } from '../ends.ts';
import { backupRef, sourceSettings } from './places.ts';

/** The log of the source that a backup at a cut relies on, by the name that says whose it is. */
export interface KeptLog {
  readonly log: LogSource;
  readonly address: LinkAddress;
  readonly writer: BackupWriter;
}

export function keptLogOf(stores: StoreProvider, input: StageInput): KeptLog {
  const ref = backupRef(input);
  return {
    log: requireCapability(stores.get(sourceSettings(input.job).store), 'logSource'),
    address: keptLogAddress(input.job),
    writer: requireCapability(targetOf(stores, ref), 'backupWriter'),
  };
}

/** Slot and publication, by the name that says whose they are. */
export function keptLogAddress(job: ResolvedBackupRestoreJob): LinkAddress {
  const name = backupLogNameOf(job);
  return { job: job.name, slot: name, publication: name };
}

/** What the log has to carry of these tables: everything, or a touched row would be missed. */
export function publishedFor(tables: readonly DescribedTable[]): PublishedTable[] {
  return tables.map(({ definition }) => ({ table: definition.name, insertsOnly: false }));
}

/** Nothing of the backup stays on its source. Idempotent. */
export async function endKeptLog(source: Store, job: ResolvedBackupRestoreJob): Promise<void> {
  await requireCapability(source, 'logSource').end(keptLogAddress(job));
}
