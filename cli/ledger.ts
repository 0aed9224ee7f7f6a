import type { BackupStage, ResolvedBackupRestoreJob } from '../definitions/contracts/job.ts';
import { SynclineError } from '../definitions/errors.ts';
import { storeOfPlan } from '../planning/stages.ts';
import type { LoadLedger, StoredLoad } from '../stores/spi/load-ledger.ts';
import { requireCapability, type StoreProvider } from '../stores/spi/store.ts';
import type { TemporalAccess } from '../worker/connection.ts';
import type { CommandContext } from './context.ts';
import { latestStart } from './definition-of.ts';
import type { JobAddress } from './job-address.ts';
import type { AskLedger } from './job-status.ts';

/** Where the load of a job, or of one of its stages, is remembered; `load` is the latest one. */
export interface OpenedLedger {
  readonly ledger: LoadLedger;
  readonly load: StoredLoad | null;
  /** Null for a kind without stages. */
  readonly stage: BackupStage | null;
}

export interface LedgerQuestion {
  readonly address: JobAddress;
  /** Absent: the one under way, or the last. */
  readonly stage?: BackupStage;
}

/**
 * The ledger at the target of a job, whose definition is in the history. Errors: `definition.invalid` for a stage that
 * the job does not have, those of the store.
 */
export async function openLedger(
  context: CommandContext,
  access: TemporalAccess,
  { address, stage }: LedgerQuestion,
): Promise<OpenedLedger> {
  const { job } = (await latestStart(access, address)).input;
  const stores = await context.stores();
  if (job.kind === 'copy') {
    if (stage !== undefined) throw noSuchStage(address, stage);
    const ledger = requireCapability(stores.get(job.target.store), 'loadLedger');
    return { ledger, load: await ledger.plans.latest(job.name), stage: null };
  }
  if (stage === undefined) return await presentLedger(context, stores, job);
  if (!job.stages.includes(stage)) throw noSuchStage(address, stage);
  return await ledgerOfStage(stores, job, stage);
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
  { output }: CommandContext,
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
      output.note(`Stage ${stage} cannot be asked: ${error.message}`);
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
export async function ledgerOf(
  context: CommandContext,
  access: TemporalAccess,
  address: JobAddress,
): ReturnType<AskLedger> {
  try {
    const { ledger, load, stage } = await openLedger(context, access, { address });
    if (load === null) return null;
    const totals = await ledger.totals(load.ref);
    const more = stage === null ? {} : { stage };
    return { ...totals, units: load.totals.units, plannedBytes: load.totals.bytes, ...more };
  } catch (error) {
    context.output.note(
      `The ledger cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
    return null;
  }
}
