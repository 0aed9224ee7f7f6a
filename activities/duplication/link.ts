import type { LinkInput } from '../../definitions/contracts/duplication.ts';
import type { ResolvedCopyJob } from '../../definitions/contracts/job.ts';
import { SynclineError } from '../../definitions/errors.ts';
import { linkNameOf, loadJobOf, loadsOf } from '../../planning/link-load.ts';
import type { LoadedChunk, LoadLedger } from '../../stores/spi/load-ledger.ts';
import type { LinkAddress, LogSource, RetainedLog } from '../../stores/spi/log.ts';
import type { LinkRef, LogTarget } from '../../stores/spi/log-target.ts';
import { requireCapability, type Store, type StoreProvider } from '../../stores/spi/store.ts';

/** Both ends of a link and what it is called there. */
export interface Link {
  readonly stores: StoreProvider;
  readonly input: LinkInput;
  readonly ref: LinkRef;
  readonly address: LinkAddress;
  /** Its loads as a copy. */
  readonly loadJob: ResolvedCopyJob;
  readonly source: Store;
  readonly target: Store;
  readonly log: LogSource;
  readonly applied: LogTarget;
  readonly ledger: LoadLedger;
}

/** Opens nothing yet. Throws `definition.unknownStore`, `store.unsupported`. */
export function linkOf(stores: StoreProvider, input: LinkInput): Link {
  const { job, target: targetStore } = input;
  const source = stores.get(job.source.store);
  const target = stores.get(targetStore);
  const name = linkNameOf(job, targetStore);
  return {
    stores,
    input,
    ref: { job: job.name, target: targetStore },
    address: { job: job.name, slot: name, publication: name },
    loadJob: loadJobOf(job, targetStore),
    source,
    target,
    log: requireCapability(source, 'logSource'),
    applied: requireCapability(target, 'logTarget'),
    ledger: requireCapability(target, 'loadLedger'),
  };
}

/** What the source keeps for the link. Throws `log.slotLost` when changes are missing for ever. */
export async function expectRetained({ log, address }: Pick<Link, 'log' | 'address'>): Promise<RetainedLog> {
  const retained = await log.retained(address);
  if (retained !== null && retained.state !== 'lost') return retained;
  const why = retained?.reason ?? 'somebody dropped it';
  throw new SynclineError('log.slotLost', `Slot ${address.slot} of ${address.job} is lost: ${why}.`);
}

/** What the ledger knows of the chunks of the present generation. */
export async function chunksOf({ ledger, input }: Link): Promise<readonly LoadedChunk[]> {
  return (await ledger.chunks?.(input.job.name, loadsOf(input.generation))) ?? [];
}
