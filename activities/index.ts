import type { BackupRestoreActivities } from '../definitions/contracts/backup-restore.ts';
import type { CopyActivities } from '../definitions/contracts/copy.ts';
import { requireCapability } from '../stores/spi/store.ts';
import { finishBackup, moveWatermark } from './backup-restore/finish-backup.ts';
import { holdSnapshot } from './backup-restore/hold-snapshot.ts';
import { latestStage, removeStage } from './backup-restore/latest-stage.ts';
import { planBackupRestore } from './backup-restore/plan.ts';
import { prepareBackup } from './backup-restore/prepare-backup.ts';
import { finishRestore, prepareRestore } from './backup-restore/prepare-restore.ts';
import { finishTransfer, prepareTransfer } from './backup-restore/prepare-transfer.ts';
import { transferObjects } from './backup-restore/transfer-objects.ts';
import { finishCopy } from './copy/finish-copy.ts';
import { finishChunk, loadUnits } from './copy/load-units.ts';
import { latestLoad, planCopy, prepareCopy } from './copy/prepare-copy.ts';
import { removeCopy, skipUnit } from './copy/remove-copy.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { targetOf } from './ends.ts';
import { MemoryBudget } from './memory-budget.ts';

/** Every activity of every kind, over the same dependencies. Names are the wire contract with workflows. */
export function createActivities(
  dependencies: ActivityDependencies,
): CopyActivities & BackupRestoreActivities {
  const budget = new MemoryBudget();
  return { ...copyActivities(dependencies, budget), ...backupRestoreActivities(dependencies, budget) };
}

function copyActivities(dependencies: ActivityDependencies, budget: MemoryBudget): CopyActivities {
  return {
    planCopy: (input) => planCopy(dependencies, input),
    prepareCopy: (input) => prepareCopy(dependencies, input),
    listBatches: (input) =>
      requireCapability(targetOf(dependencies.stores, input.ref), 'loadLedger').plans.batches(input),
    loadUnits: (input) => loadUnits(dependencies, budget, input),
    finishChunk: (input) => finishChunk(dependencies, budget, input),
    skipUnit: (input) => skipUnit(dependencies, input),
    finishCopy: (input) => finishCopy(dependencies, input),
    latestLoad: (input) => latestLoad(dependencies, input),
    removeCopy: (input) => removeCopy(dependencies, input),
  };
}

function backupRestoreActivities(
  dependencies: ActivityDependencies,
  budget: MemoryBudget,
): BackupRestoreActivities {
  return {
    planBackupRestore: (input) => planBackupRestore(dependencies, input),
    prepareBackup: (input) => prepareBackup(dependencies, input),
    finishBackup: (input) => finishBackup(dependencies, input),
    moveWatermark: (input) => moveWatermark(dependencies, input),
    holdSnapshot: (input) => holdSnapshot(dependencies, input),
    prepareTransfer: (input) => prepareTransfer(dependencies, input),
    transferObjects: (input) => transferObjects(dependencies, budget, input),
    finishTransfer: (input) => finishTransfer(dependencies, input),
    prepareRestore: (input) => prepareRestore(dependencies, input),
    finishRestore: (input) => finishRestore(dependencies, input),
    latestStage: (input) => latestStage(dependencies, input),
    removeStage: (input) => removeStage(dependencies, input),
  };
}
