import type { CopyActivities } from '../definitions/contracts/copy.ts';
import { requireCapability } from '../stores/spi/store.ts';
import { finishCopy } from './copy/finish-copy.ts';
import { finishChunk, loadUnits } from './copy/load-units.ts';
import { latestLoad, planCopy, prepareCopy } from './copy/prepare-copy.ts';
import { removeCopy, skipUnit } from './copy/remove-copy.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { targetOf } from './ends.ts';
import { MemoryBudget } from './memory-budget.ts';

/** Every activity of every kind, over the same dependencies. Names are the wire contract with workflows. */
export function createActivities(dependencies: ActivityDependencies): CopyActivities {
  const budget = new MemoryBudget();
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
