import type { StageInput } from '../../definitions/contracts/backup-restore.ts';
import type { PreflightFinding } from '../../definitions/contracts/copy.ts';
import { errorTable, isErrorCode } from '../../definitions/errors.ts';
import { nextOfChain, restoreChain } from '../../planning/restore-chain.ts';
import type { WindowFilter } from '../../stores/spi/chunk-source.ts';
import type { StoredLoad } from '../../stores/spi/load-ledger.ts';
import { requireCapability, type StoreProvider } from '../../stores/spi/store.ts';
import { displayName } from '../../stores/spi/tables.ts';
import { refuseOn } from '../copy/prepare-copy.ts';
import { missingBackup } from './findings.ts';
import { openPlace, placeToRestore, restoredBackup, restoreSettings } from './places.ts';

/**
 * Which backup a restore brings back: the one that this run made or moved, the one that the job names, or the next of
 * the latest state (planning/restore-chain.ts) by what the target's ledger says it holds.
 */
export async function backupToRestore(stores: StoreProvider, input: StageInput): Promise<string> {
  const named = input.backup ?? restoreSettings(input.job).backup;
  if (named !== 'latest') return named;
  const chosen = nextOfChain(await chainOf(stores, input), await heldBackups(stores, input));
  if (chosen === null) throw missingBackup(placeToRestore(input.job));
  return chosen.backup;
}

/** Whether another window waits once this one is restored. Only where the job takes what there is, one by one. */
export async function moreToRestore(
  stores: StoreProvider,
  input: StageInput,
  done: string,
): Promise<boolean> {
  if (input.backup !== null || restoreSettings(input.job).backup !== 'latest') return false;
  const held = await heldBackups(stores, input);
  // What was not restored whole comes first again in another run; in this one it would come for ever.
  if (!held.has(done)) return false;
  return (await chainOf(stores, input)).some((backup) => !held.has(backup));
}

/** Throws `preflight.refused` when a manifest that may belong to the latest state cannot be read: rows would be missing. */
async function chainOf(stores: StoreProvider, { job }: StageInput): Promise<readonly string[]> {
  const place = openPlace(stores, placeToRestore(job));
  const { backups, broken } = await requireCapability(place, 'backupCatalog').list();
  const chain = restoreChain(backups);
  const [oldest = ''] = chain;
  refuseOn(broken.filter(({ backup }) => backup > oldest).map(brokenFinding));
  return chain;
}

function brokenFinding(broken: {
  readonly backup: string;
  readonly code: string;
  readonly message: string;
}): PreflightFinding {
  const code = isErrorCode(broken.code) ? broken.code : 'artifact.corrupt';
  const message = `Backup ${broken.backup} cannot be read: ${broken.message}`;
  return { severity: 'error', code, table: null, message, cure: errorTable[code].cure };
}

/** Backups that this job has restored whole, in any run. */
async function heldBackups(stores: StoreProvider, input: StageInput): Promise<ReadonlySet<string>> {
  return new Set((await heldLoads(stores, input)).keys());
}

/** A load of each of them. */
async function heldLoads(
  stores: StoreProvider,
  { job }: StageInput,
): Promise<ReadonlyMap<string, StoredLoad>> {
  const ledger = requireCapability(stores.get(restoreSettings(job).store), 'loadLedger');
  const held = new Map<string, StoredLoad>();
  for (const load of await ledger.plans.all(job.name)) {
    const backup = restoredBackup(load.ref.load);
    if (backup === null || held.has(backup)) continue;
    const { unitsDone, unitsSkipped } = await ledger.totals(load.ref);
    if (unitsDone === load.totals.units && unitsSkipped === 0) held.set(backup, load);
  }
  return held;
}

/** Windows that an append has added whole, out of backups other than this one, by the name of the table. */
export async function appendedWindows(
  stores: StoreProvider,
  input: StageInput,
  backup: string,
): Promise<ReadonlyMap<string, readonly WindowFilter[]>> {
  const windows = new Map<string, WindowFilter[]>();
  if (restoreSettings(input.job).mode !== 'append') return windows;
  for (const [held, { tables }] of await heldLoads(stores, input)) {
    for (const { source, window } of held === backup ? [] : tables) {
      const name = displayName(source);
      if (window !== null) windows.set(name, [...(windows.get(name) ?? []), window]);
    }
  }
  return windows;
}
