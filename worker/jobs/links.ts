import { progressOf } from '../../activities/duplication/follow/progress.ts';
import type { LinkProgress } from '../../definitions/contracts/duplication.ts';
import type { ResolvedDuplicationJob } from '../../definitions/contracts/job.ts';
import { SynclineError } from '../../definitions/errors.ts';
import { linkNameOf } from '../../planning/link-load.ts';
import type { LoadLedger } from '../../stores/spi/load-ledger.ts';
import type { RetainedLog } from '../../stores/spi/log.ts';
import type { LinkRef, LinkState, LogTarget } from '../../stores/spi/log-target.ts';
import { requireCapability, type StoreProvider } from '../../stores/spi/store.ts';
import type { Asking } from './asking.ts';
import type { JobAddress } from './job-address.ts';
import { latestStart } from './latest-start.ts';

/** The target's end of a link, opened to look at it. */
export interface LinkLedger {
  readonly ref: LinkRef;
  readonly target: LogTarget;
  readonly loads: LoadLedger;
}

export interface LinksQuestion {
  readonly address: JobAddress;
  /** Store of the target; absent: all. */
  readonly target?: string | undefined;
}

/** The definition of a duplication, from its history. Errors: `definition.invalid` for another kind of job. */
export async function duplicationOf(
  { access }: Pick<Asking, 'access'>,
  address: JobAddress,
): Promise<ResolvedDuplicationJob> {
  const { job } = (await latestStart(access, address)).input;
  if (job.kind === 'duplication') return job;
  throw new SynclineError('definition.invalid', `The job ${address.workflowId} is no duplication.`);
}

/**
 * Links of a job that its ledgers are to be asked of. Errors: `definition.invalid` for another kind of job or a target that
 * it does not have, those of the store.
 */
export async function openLinks(
  asking: Asking,
  { address, target }: LinksQuestion,
): Promise<readonly LinkLedger[]> {
  const job = await duplicationOf(asking, address);
  const stores = await asking.stores();
  return targetsOf(job, target).map((store) => openLink(stores, { job: job.name, target: store }));
}

/** Stores by name. Errors: `definition.invalid` for one that is no target of the job. */
export function targetsOf(job: ResolvedDuplicationJob, target?: string): readonly string[] {
  const all = job.targets.map(({ store }) => store);
  if (target === undefined) return all;
  if (all.includes(target)) return [target];
  throw new SynclineError(
    'definition.invalid',
    `The job "${job.name}" has no target "${target}"; it has ${all.join(', ')}.`,
  );
}

export function openLink(stores: StoreProvider, ref: LinkRef): LinkLedger {
  const store = stores.get(ref.target);
  return {
    ref,
    target: requireCapability(store, 'logTarget'),
    loads: requireCapability(store, 'loadLedger'),
  };
}

/** A link as both servers know it, without any worker. */
export interface SeenLink {
  readonly state: LinkState;
  readonly progress: LinkProgress;
}

/** Null: the target knows no such link. What the source keeps stays unknown when it does not answer. */
export async function seeLink(
  stores: StoreProvider,
  job: ResolvedDuplicationJob,
  { ref, target }: LinkLedger,
): Promise<SeenLink | null> {
  const state = await target.read(ref);
  if (state === null) return null;
  const [special, retained] = await Promise.all([target.tables(ref), retainedOf(stores, job, ref)]);
  return { state, progress: progressOf({ state, retained, special }) };
}

async function retainedOf(
  stores: StoreProvider,
  job: ResolvedDuplicationJob,
  { target }: LinkRef,
): Promise<RetainedLog | null> {
  const name = linkNameOf(job, target);
  try {
    const source = requireCapability(stores.get(job.source.store), 'logSource');
    return await source.retained({ job: job.name, slot: name, publication: name });
  } catch (error) {
    // Its own end is asked elsewhere; that the source is away must not hide what the target says.
    if (error instanceof SynclineError) return null;
    throw error;
  }
}
