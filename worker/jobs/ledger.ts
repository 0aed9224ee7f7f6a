import type { BackupStage, ResolvedBackupRestoreJob } from '../../definitions/contracts/job.ts';
import { SynclineError } from '../../definitions/errors.ts';
import { storeOfPlan } from '../../planning/stages.ts';
import type { LoadLedger, StoredLoad } from '../../stores/spi/load-ledger.ts';
import { requireCapability, type StoreProvider } from '../../stores/spi/store.ts';
import type { Asking } from './asking.ts';
import { latestStart } from './latest-start.ts';
import type { JobAddress } from './job-address.ts';
import type { AskLedger } from './job-status.ts';
import { reportOfLinks } from './link-ledger.ts';
import { duplicationOf, targetsOf } from './links.ts';

/** Where the load of a job, or of one of its stages, is remembered; `load` is the latest one. */
export interface OpenedLedger {
  readonly ledger: LoadLedger;
  readonly load: StoredLoad | null;
  /** Null for a kind without stages. */
  readonly stage: BackupStage | null;
  /** Of a duplication: the other loads that are remembered. */
  readonly others?: readonly string[];
}

export interface LedgerQuestion {
  readonly address: JobAddress;
  /** Absent: the one under way, or the last. */
  readonly stage?: BackupStage;
  /** Of a duplication: which target; absent: the first. */
  readonly target?: string;
  /** Which load, by its identity; absent: the latest. */
  readonly load?: string;
}

/**
 * The ledger at the target of a job, whose definition is in the history. Errors: `definition.invalid` for a stage that
 * the job does not have, those of the store.
 */
export async function openLedger(
  asking: Asking,
  { address, stage, target, load }: LedgerQuestion,
): Promise<OpenedLedger> {
  const { job } = (await latestStart(asking.access, address)).input;
  const stores = await asking.stores();
  if (job.kind !== 'backup-restore' && stage !== undefined) throw noSuchStage(address, stage);
  if (job.kind === 'copy') {
    const ledger = requireCapability(stores.get(job.target.store), 'loadLedger');
    return { ledger, load: await ledger.plans.latest(job.name), stage: null };
  }
  if (job.kind === 'duplication') {
    // The first target stands for all: they load the same.
    const [store = ''] = targetsOf(job, target);
    return await loadAmongMany(requireCapability(stores.get(store), 'loadLedger'), job.name, load);
  }
  if (stage === undefined) return await presentLedger(asking, stores, job);
  if (!job.stages.includes(stage)) throw noSuchStage(address, stage);
  return await ledgerOfStage(stores, job, stage);
}

/** A link has a load for every time that tables joined or were loaded again. */
async function loadAmongMany(ledger: LoadLedger, job: string, wanted?: string): Promise<OpenedLedger> {
  const loads = await ledger.plans.all(job);
  const load = wanted === undefined ? loads[0] : loads.find(({ ref }) => ref.load === wanted);
  const names = loads.map(({ ref }) => ref.load);
  if (load === undefined && wanted !== undefined)
    throw new SynclineError(
      'definition.invalid',
      `There is no load "${wanted}"; there is ${names.join(', ')}.`,
    );
  const others = names.filter((name) => name !== load?.ref.load);
  return { ledger, load: load ?? null, stage: null, others };
}

function noSuchStage({ workflowId }: JobAddress, stage: BackupStage): SynclineError {
  return new SynclineError('definition.invalid', `The job ${workflowId} has no stage \`${stage}\`.`);
}

async function ledgerOfStage(
  stores: StoreProvider,
  job: ResolvedBackupRestoreJob,
  stage: BackupStage,
): Promise<OpenedLedger> {
  const { store, path } = storeOfPlan(job, stage);
  const target = path === null ? stores.get(store) : stores.artifact(store, { path, backup: null });
  const ledger = requireCapability(target, 'loadLedger');
  return { ledger, load: await ledger.plans.latest(job.name), stage };
}

/** The stores of another site cannot be asked from here: what the others say is still true. */
async function presentLedger(
  { note }: Pick<Asking, 'note'>,
  stores: StoreProvider,
  job: ResolvedBackupRestoreJob,
): Promise<OpenedLedger> {
  const opened: OpenedLedger[] = [];
  const errors: SynclineError[] = [];
  for (const stage of job.stages) {
    try {
      opened.push(await ledgerOfStage(stores, job, stage));
    } catch (error) {
      if (!(error instanceof SynclineError)) throw error;
      errors.push(error);
      note(`Stage ${stage} cannot be asked: ${error.message}`);
    }
  }
  const present = presentOf(opened);
  if (present !== null) return present;
  throw errors[0] ?? noStage(job);
}

function noStage({ name }: ResolvedBackupRestoreJob): SynclineError {
  return new SynclineError('definition.invalid', `The job "${name}" has no stage.`);
}

/**
 * The stage that has come furthest with the newest backup: ids of backups sort by the time that their runs were due.
 * Before anything is planned the first stage; null when there is none.
 */
export function presentOf(opened: readonly OpenedLedger[]): OpenedLedger | null {
  const backups = opened.map(({ load }) => (load === null ? '' : backupOf(load)));
  const newest = backups.reduce((one, other) => (other > one ? other : one), '');
  return opened[newest === '' ? 0 : backups.lastIndexOf(newest)] ?? null;
}

/** Loads of a backup-restore are called `<stage>:<backup>`, restores `backup:<backup>@<which>`. */
function backupOf({ ref }: StoredLoad): string {
  return /^(?:backup|transfer):([^@]+)/.exec(ref.load)?.[1] ?? '';
}

/** For `status`: what is known there must not hide what Temporal knows, so no answer is null. */
export async function ledgerOf(asking: Asking, address: JobAddress): ReturnType<AskLedger> {
  try {
    if (address.kind === 'duplication')
      return await reportOfLinks(await asking.stores(), await duplicationOf(asking, address));
    const { ledger, load, stage } = await openLedger(asking, { address });
    if (load === null) return null;
    const totals = await ledger.totals(load.ref);
    const more = stage === null ? {} : { stage };
    return { ...totals, units: load.totals.units, plannedBytes: load.totals.bytes, ...more };
  } catch (error) {
    asking.note(`The ledger cannot be read: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  }
}
