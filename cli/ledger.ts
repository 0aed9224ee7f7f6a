import { type LoadLedger } from '../stores/spi/load-ledger.ts';
import { requireCapability } from '../stores/spi/store.ts';
import type { TemporalAccess } from '../worker/connection.ts';
import type { JobAddress } from './client.ts';
import type { CommandContext } from './context.ts';
import { inputOfLatestRun } from './definition-of.ts';
import type { AskLedger } from './job-status.ts';

/** The ledger on the target of a job, whose definition is in the history. */
export async function openLedger(
  context: CommandContext,
  access: TemporalAccess,
  address: JobAddress,
): Promise<LoadLedger> {
  const { job } = await inputOfLatestRun(access, address);
  const stores = await context.stores();
  return requireCapability(stores.get(job.target.store), 'loadLedger');
}

/** For `status`: what is known there must not hide what Temporal knows, so no answer is null. */
export async function ledgerOf(
  context: CommandContext,
  access: TemporalAccess,
  address: JobAddress,
): ReturnType<AskLedger> {
  try {
    const ledger = await openLedger(context, access, address);
    const load = await ledger.plans.latest(address.name);
    if (load === null) return null;
    const totals = await ledger.totals(load.ref);
    return { ...totals, units: load.totals.units, plannedBytes: load.totals.bytes };
  } catch (error) {
    context.output.note(
      `The ledger cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
    return null;
  }
}
