import type { StageInput } from '../../definitions/contracts/backup-restore.ts';
import type { PreflightFinding } from '../../definitions/contracts/copy.ts';
import { errorTable, isErrorCode } from '../../definitions/errors.ts';
import { nextOfChain, restoreChain } from '../../planning/restore-chain.ts';
import { requireCapability, type Store, type StoreProvider } from '../../stores/spi/store.ts';
import { refuseOn } from '../copy/prepare-copy.ts';
import { missingBackup } from './findings.ts';
import { openPlace, placeToRestore, restoreSettings } from './places.ts';
import { heldBackups } from './restored-loads.ts';

/**
 * Which backup a restore brings back: the one that this run made or moved, the one that the job names, or the next of
 * the latest state (planning/restore-chain.ts) by what the target's ledger says it holds.
 */
export async function backupToRestore(stores: StoreProvider, input: StageInput): Promise<string> {
  const named = input.backup ?? restoreSettings(input.job).backup;
  if (named !== 'latest') return named;
  const chosen = nextOfChain(
    await chainAt(openPlace(stores, placeToRestore(input.job))),
    await heldBackups(stores, input),
  );
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
  return (await chainAt(openPlace(stores, placeToRestore(input.job)))).some((backup) => !held.has(backup));
}

/** Throws `preflight.refused` when a manifest that may belong to the latest state cannot be read: rows would be missing. */
export async function chainAt(place: Store): Promise<readonly string[]> {
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
