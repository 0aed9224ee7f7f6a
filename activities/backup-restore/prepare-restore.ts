import type {
  CheckHeartbeat,
  FinishedStage,
  FinishStageInput,
  PreparedStage,
  StageInput,
} from '../../definitions/contracts/backup-restore.ts';
import { requireCapability, type StoreProvider } from '../../stores/spi/store.ts';
import { displayName } from '../../stores/spi/tables.ts';
import type { LoadRequest } from '../copy/describe-job.ts';
import { finishCopy } from '../copy/finish-copy.ts';
import { prepareLoad, refuseOn } from '../copy/prepare-copy.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { withHeartbeat } from '../heartbeat.ts';
import { checkedBefore, checkObjects } from './check-objects.ts';
import { backupToRestore, moreToRestore } from './choose-backup.ts';
import { refusal } from './findings.ts';
import { copyJobOf, openPlace, placeToRestore, restoreIdentity, restoreSettings } from './places.ts';
import { appendedWindows, forgetGone, gapsBefore } from './restored-loads.ts';

/** Chooses the backup and looks at every object of it; then tables and plan, as for any copy. */
export async function prepareRestore(
  dependencies: ActivityDependencies,
  input: StageInput,
): Promise<PreparedStage> {
  const { stores } = dependencies;
  const progress = { backup: '', checked: 0, bytes: 0 };
  const details = (): CheckHeartbeat => ({ step: 'checking', ...progress });
  return await withHeartbeat(details, async (signal) => {
    await forgetGone(stores, input);
    const backup = await backupToRestore(stores, input);
    Object.assign(progress, { backup, ...checkedBefore(backup) });
    const request = await refusal(() => restoreRequest(stores, input, backup));
    if (!input.verified) {
      const place = placeToRestore(input.job);
      const findings = await refusal(() =>
        checkObjects({
          catalog: requireCapability(openPlace(stores, place), 'backupCatalog'),
          files: requireCapability(stores.get(place.store), 'files'),
          place,
          backup,
          check: restoreSettings(input.job).check,
          signal,
          progress,
        }),
      );
      refuseOn(findings);
    }
    const prepared = await refusal(() => prepareLoad(dependencies, request));
    const gaps = input.backup === null ? await gapsOf(stores, input, backup) : [];
    return { ...prepared, warnings: [...prepared.warnings, ...gaps], backup };
  });
}

async function gapsOf(stores: StoreProvider, input: StageInput, backup: string): Promise<string[]> {
  const catalog = requireCapability(openPlace(stores, placeToRestore(input.job)), 'backupCatalog');
  return await gapsBefore(stores, input, (await catalog.read(backup)).windows);
}

/** The restore as a copy: from this backup, with what was kept of each table. */
export async function restoreRequest(
  stores: StoreProvider,
  input: StageInput,
  backup: string,
): Promise<LoadRequest> {
  const { job, run, scheduledTime } = input;
  const place = placeToRestore(job);
  const catalog = requireCapability(openPlace(stores, place), 'backupCatalog');
  // The seal first: nothing that a manifest says is believed before.
  await catalog.read(backup);
  const plans = await catalog.plans(backup);
  return {
    job: copyJobOf(job),
    run,
    scheduledTime,
    from: {
      store: openPlace(stores, place, backup),
      address: { path: place.path, backup },
      load: restoreIdentity(input, backup),
      kept: new Map(plans.map((plan) => [displayName(plan.source), plan])),
      appended: await appendedWindows(stores, input, backup),
    },
  };
}

/** As a copy finishes, with what the backup knows of sequences, foreign keys and comments. */
export async function finishRestore(
  dependencies: ActivityDependencies,
  input: FinishStageInput,
): Promise<FinishedStage> {
  const { ref, totals, job } = input;
  const backup = ref.sourceArtifact?.backup ?? '';
  const finished = await finishCopy(dependencies, { ref, totals, job: copyJobOf(job) });
  const more = await moreToRestore(dependencies.stores, input, backup);
  return { ...finished, backup, more, watermark: null };
}
