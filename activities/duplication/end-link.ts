import type { EndedLink, LinkInput, RemoveLinkInput } from '../../definitions/contracts/duplication.ts';
import { SynclineError } from '../../definitions/errors.ts';
import { requireCapability } from '../../stores/spi/store.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { withHeartbeat } from '../heartbeat.ts';
import { completeLinkTables } from './complete-link.ts';
import { type Link, linkOf } from './link.ts';

/** The target becomes a database of its own: sequences go on where the source's are, slot and publication are dropped. */
export async function promoteLink(dependencies: ActivityDependencies, input: LinkInput): Promise<EndedLink> {
  const link = linkOf(dependencies.stores, input);
  return await withHeartbeat(
    () => ({ target: input.target, doing: 'promoting' }),
    async () => {
      const state = await link.applied.read(link.ref);
      if (state !== null && state.consistentAt === null) {
        const message = `The target of ${link.ref.job} is not equal to any one instant of its source yet.`;
        throw new SynclineError('link.notConsistent', message);
      }
      if (state !== null) await completeLinkTables(link);
      await link.log.end(link.address);
      await forgetOnTarget(link);
      return { leftBehind: [], warnings: [] };
    },
  );
}

/** After a cut: the log is not needed any more. What the ledger says of the loads stays. Idempotent. */
export async function endLink({ stores }: ActivityDependencies, input: LinkInput): Promise<void> {
  const link = linkOf(stores, input);
  await withHeartbeat(
    () => ({ target: input.target, doing: 'ending' }),
    async () => {
      await link.log.end(link.address);
      await link.applied.forget(link.ref);
    },
  );
}

/** Everything of a link that is not the user's. A side that is gone for ever is not asked; what stays there is said. */
export async function removeLink(
  dependencies: ActivityDependencies,
  input: RemoveLinkInput,
): Promise<EndedLink> {
  const link = linkOf(dependencies.stores, input);
  const leftBehind: string[] = [];
  await withHeartbeat(
    () => ({ target: input.target, doing: 'removing' }),
    async () => {
      if (input.abandon === 'target') {
        const { name } = input.job;
        leftBehind.push(
          `Store ${input.target} was not asked: schema syncline, staging tables and rows about ${name} stay there.`,
        );
      } else {
        await requireCapability(link.target, 'chunkTarget').removeStaging(link.ref.job);
        await forgetOnTarget(link);
      }
      if (input.abandon === 'source') {
        const { slot, publication } = link.address;
        leftBehind.push(
          `Store ${input.job.source.store} was not asked: slot ${slot} and publication ${publication} stay there, and the slot keeps log until it is dropped.`,
        );
      } else {
        await requireCapability(link.source, 'chunkSource').endSessions(link.ref.job);
        await link.log.end(link.address);
      }
    },
  );
  return { leftBehind, warnings: [] };
}

async function forgetOnTarget({ applied, ledger, ref }: Link): Promise<void> {
  await applied.forget(ref);
  await ledger.forget(ref.job);
}
