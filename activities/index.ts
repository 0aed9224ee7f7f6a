import type { BackupRestoreActivities } from '../definitions/contracts/backup-restore.ts';
import type { CopyActivities } from '../definitions/contracts/copy.ts';
import type { CutActivities, DuplicationActivities } from '../definitions/contracts/duplication.ts';
import { linkJobOf } from '../planning/link-load.ts';
import { requireCapability } from '../stores/spi/store.ts';
import { cutBackup } from './backup-restore/cut-backup.ts';
import { finishBackup, moveWatermark } from './backup-restore/finish-backup.ts';
import { holdSnapshot } from './backup-restore/hold-snapshot.ts';
import { dropLog, keepLog } from './backup-restore/keep-log.ts';
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
import { beginLink } from './duplication/begin-link.ts';
import { completeLink } from './duplication/complete-link.ts';
import { cutLink } from './duplication/cut-link.ts';
import { endLink, promoteLink, removeLink } from './duplication/end-link.ts';
import { followLog } from './duplication/follow-log.ts';
import { planDuplication } from './duplication/plan-duplication.ts';
import { prepareLinkLoad } from './duplication/prepare-link-load.ts';
import { retryDeadTransactions, setLinkTable, watchLink } from './duplication/tend-link.ts';
import { verifyLink } from './duplication/verify-link.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { targetOf } from './ends.ts';
import { MemoryBudget } from './memory-budget.ts';

/** Every activity of every kind, over the same dependencies. Names are the wire contract with workflows. */
export function createActivities(
  dependencies: ActivityDependencies,
): CopyActivities & BackupRestoreActivities & DuplicationActivities & CutActivities {
  const budget = new MemoryBudget();
  return {
    ...copyActivities(dependencies, budget),
    ...backupRestoreActivities(dependencies, budget),
    ...duplicationActivities(dependencies),
  };
}

function duplicationActivities(dependencies: ActivityDependencies): DuplicationActivities & CutActivities {
  return {
    planDuplication: (input) => planDuplication(dependencies, input),
    beginLink: (input) => beginLink(dependencies, input),
    prepareLinkLoad: (input) => prepareLinkLoad(dependencies, input),
    followLog: (input) => followLog(dependencies, input),
    completeLink: (input) => completeLink(dependencies, input),
    watchLink: (input) => watchLink(dependencies, input),
    setLinkTable: (input) => setLinkTable(dependencies, input),
    retryDeadTransactions: (input) => retryDeadTransactions(dependencies, input),
    verifyLink: (input) => verifyLink(dependencies, input),
    cutLink: (input) => cutLink(dependencies, input),
    endLink: (input) => endLink(dependencies, input),
    promoteLink: (input) => promoteLink(dependencies, input),
    removeLink: (input) => removeLink(dependencies, input),
  };
}

function copyActivities(dependencies: ActivityDependencies, budget: MemoryBudget): CopyActivities {
  return {
    planCopy: (input) =>
      input.job.consistent === true
        ? planDuplication(dependencies, { job: linkJobOf(input.job), run: input.run })
        : planCopy(dependencies, input),
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
    keepLog: (input) => keepLog(dependencies, input),
    cutBackup: (input) => cutBackup(dependencies, input),
    dropLog: (input) => dropLog(dependencies, input),
    prepareTransfer: (input) => prepareTransfer(dependencies, input),
    transferObjects: (input) => transferObjects(dependencies, budget, input),
    finishTransfer: (input) => finishTransfer(dependencies, input),
    prepareRestore: (input) => prepareRestore(dependencies, input),
    finishRestore: (input) => finishRestore(dependencies, input),
    latestStage: (input) => latestStage(dependencies, input),
    removeStage: (input) => removeStage(dependencies, input),
  };
}
