import type { PreparedStage, StageInput } from '../../definitions/contracts/backup-restore.ts';
import type { LoadRef } from '../../definitions/contracts/copy.ts';
import type { BackupPlace, BackupStage } from '../../definitions/contracts/job.ts';
import type { StoredLoad } from '../../stores/spi/load-ledger.ts';
import { requireCapability, type Store, type StoreProvider } from '../../stores/spi/store.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { withHeartbeat } from '../heartbeat.ts';
import { endKeptLog } from './kept-log.ts';
import {
  openPlace,
  placeToRestore,
  restoredBackup,
  restoreSettings,
  sourceSettings,
  transferPlace,
} from './places.ts';

/** A stage, and which one is asked for. */
export type OneStage = StageInput & { readonly stage: BackupStage };

/**
 * What is still known of the newest load of a stage: what it misses can be loaded now. Once the stages before have made
 * or moved a backup, only a load of that one counts: another would leave it where it is.
 */
export async function latestStage(
  { stores }: ActivityDependencies,
  { job, stage, backup }: OneStage,
): Promise<PreparedStage | null> {
  const target = targetOfStage(stores, { job, stage });
  const { plans } = requireCapability(target, 'loadLedger');
  const latest = backup === null ? [await plans.latest(job.name)] : await plans.all(job.name);
  const stored = latest.find((load) => {
    const named = load === null ? null : addressed({ job, stage }, load);
    return named !== null && (backup === null || named.backup === backup);
  });
  const found = stored === undefined || stored === null ? null : addressed({ job, stage }, stored);
  if (found === null) return null;
  // An artifact's plan is that of one backup.
  const { unitsDone } = await requireCapability(
    found.ref.targetArtifact === undefined
      ? target
      : stores.artifact(found.ref.targetStore, found.ref.targetArtifact),
    'loadLedger',
  ).totals(found.ref);
  return { ...found, plan: stored?.totals ?? noPlan, warnings: [], alreadyDone: unitsDone };
}

const noPlan = { units: 0, chunks: 0, bytes: 0, tables: 0 };

type StageOfJob = Pick<OneStage, 'job' | 'stage'>;

function targetOfStage(stores: StoreProvider, { job, stage }: StageOfJob): Store {
  switch (stage) {
    case 'backup':
      return openPlace(stores, job.backup);
    case 'transfer':
      return openPlace(stores, transferPlace(job));
    case 'restore':
      return stores.get(restoreSettings(job).store);
  }
}

/** A table store does not remember which backup was its source; the identity of the load says it. */
function addressed(
  { job, stage }: StageOfJob,
  { ref }: StoredLoad,
): { readonly ref: LoadRef; readonly backup: string } | null {
  if (stage === 'restore') {
    const backup = restoredBackup(ref.load);
    return backup === null ? null : { ref: { ...ref, ...from(placeToRestore(job), backup) }, backup };
  }
  const backup = new RegExp(`^${stage}:(.+)$`).exec(ref.load)?.[1];
  if (backup === undefined) return null;
  const place = stage === 'backup' ? job.backup : transferPlace(job);
  const to = { targetStore: place.store, targetArtifact: { path: place.path, backup } };
  const source = stage === 'backup' ? {} : from(job.backup, backup);
  return { ref: { ...ref, ...source, ...to }, backup };
}

function from({ store, path }: BackupPlace, backup: string): Pick<LoadRef, 'sourceStore' | 'sourceArtifact'> {
  return { sourceStore: store, sourceArtifact: { path, backup } };
}

/**
 * Everything of one stage that is under way and not the user's: sessions, staging, plans, receipts, partial objects.
 * Published backups stay.
 */
export async function removeStage({ stores }: ActivityDependencies, { job, stage }: OneStage): Promise<void> {
  await withHeartbeat(
    () => ({ chunk: job.name, step: 'waiting' }),
    async () => {
      if (stage === 'backup') {
        const source = stores.get(sourceSettings(job).store);
        await requireCapability(source, 'chunkSource').endSessions(job.name);
        if (job.backup.consistency === 'cut') await endKeptLog(source, job);
      }
      const target = targetOfStage(stores, { job, stage });
      await requireCapability(target, 'chunkTarget').removeStaging(job.name);
      await requireCapability(target, 'loadLedger').forget(job.name);
    },
  );
}
