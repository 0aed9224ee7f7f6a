import type { PrepareInput, SkipUnitInput } from '../../definitions/contracts/copy.ts';
import { requireCapability } from '../../stores/spi/store.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { targetOf } from '../ends.ts';
import { withHeartbeat } from '../heartbeat.ts';

/** Everything of a job that is not the user's: sessions on both sides, staging, plan, dead letters, ledger. */
export async function removeCopy(dependencies: ActivityDependencies, { job }: PrepareInput): Promise<void> {
  await withHeartbeat(
    () => ({ chunk: job.name, step: 'waiting' }),
    async () => {
      await requireCapability(dependencies.stores.get(job.source.store), 'chunkSource').endSessions(job.name);
      const target = dependencies.stores.get(job.target.store);
      await requireCapability(target, 'chunkTarget').removeStaging(job.name);
      await requireCapability(target, 'loadLedger').forget(job.name);
    },
  );
}

/** A unit set aside: visible in status and result until it is loaded after all. */
export async function skipUnit(dependencies: ActivityDependencies, input: SkipUnitInput): Promise<void> {
  const ledger = requireCapability(targetOf(dependencies.stores, input.ref), 'loadLedger');
  await ledger.deadLetters.put(input.ref, input.failure);
}
