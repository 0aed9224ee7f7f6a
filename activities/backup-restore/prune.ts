import type { ResolvedBackupRestoreJob } from '../../definitions/contracts/job.ts';
import { requireCapability, type Store } from '../../stores/spi/store.ts';

/** Lets go what `keep` no longer keeps, at the place that a backup has just come to. */
export async function prune(place: Store, { keep }: ResolvedBackupRestoreJob): Promise<void> {
  if (keep === undefined) return;
  const { last = null, days = null } = keep;
  const now = new Date().toISOString();
  await requireCapability(place, 'backupCatalog').prune({ last, days, now });
}
