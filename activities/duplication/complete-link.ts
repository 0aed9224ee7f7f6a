import type { LoadRef } from '../../definitions/contracts/copy.ts';
import type { LinkInput } from '../../definitions/contracts/duplication.ts';
import { requireCapability } from '../../stores/spi/store.ts';
import { describeSources } from '../copy/describe-job.ts';
import { completeTables } from '../copy/finish-copy.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { withHeartbeat } from '../heartbeat.ts';
import { type Link, linkOf } from './link.ts';

type CompleteLinkInput = LinkInput & { readonly ref: LoadRef | null };

/** What can only be made when all chunks are of one instant: foreign keys; and what a planner of queries needs. */
export async function completeLink(
  dependencies: ActivityDependencies,
  input: CompleteLinkInput,
): Promise<{ readonly warnings: readonly string[] }> {
  const link = linkOf(dependencies.stores, input);
  return await withHeartbeat(
    () => ({ target: input.target, doing: 'completing' }),
    async () => {
      await completeLinkTables(link);
      const stored = input.ref === null ? null : await link.ledger.plans.read(input.ref);
      if (stored !== null) {
        const names = stored.tables.map((table) => table.target);
        await requireCapability(link.target, 'tableBuilder').analyze(names);
      }
      return { warnings: [] };
    },
  );
}

export async function completeLinkTables({ stores, loadJob, input }: Link): Promise<void> {
  if (input.job.load.createTables) await completeTables(await describeSources(stores, { job: loadJob }));
}
