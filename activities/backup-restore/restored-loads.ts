import type { StageInput } from '../../definitions/contracts/backup-restore.ts';
import type { BackupSummary } from '../../stores/spi/artifact.ts';
import type { WindowFilter } from '../../stores/spi/chunk-source.ts';
import type { LoadLedger, StoredLoad } from '../../stores/spi/load-ledger.ts';
import { requireCapability, type StoreProvider } from '../../stores/spi/store.ts';
import { displayName } from '../../stores/spi/tables.ts';
import { isRestoreOfSame, restoredBackup, restoreSettings } from './places.ts';

/** What the target's ledger says of restores of this job, in any run. */

/** Backups of which the target holds all that the job asks for today. */
export async function heldBackups(stores: StoreProvider, input: StageInput): Promise<ReadonlySet<string>> {
  return new Set((await heldLoads(stores, input)).keys());
}

/** A load of each of them. */
async function heldLoads(stores: StoreProvider, input: StageInput): Promise<ReadonlyMap<string, StoredLoad>> {
  const { ledger, loads } = await restoredLoads(stores, input);
  const held = new Map<string, StoredLoad>();
  for (const load of loads) {
    const { ref, totals, isGone } = load;
    const backup = restoredBackup(ref.load);
    if (backup === null || isGone || held.has(backup) || !isRestoreOfSame(input.job, ref.load)) continue;
    const { unitsDone, unitsSkipped } = await ledger.totals(ref);
    if (unitsDone === totals.units && unitsSkipped === 0) held.set(backup, load);
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

/**
 * Warnings for tables whose window joins on to nothing that the target holds: the backups before it were let go, or
 * never made. Rows of that time come from no backup, and nobody else would say so.
 */
export async function gapsBefore(
  stores: StoreProvider,
  input: StageInput,
  windows: BackupSummary['windows'],
): Promise<string[]> {
  const held = [...(await heldLoads(stores, input)).values()].flatMap(({ tables }) => tables);
  return windows.flatMap(({ table, window: { from } }) => {
    const reaches = held.some(
      ({ source, window }) =>
        displayName(source) === table &&
        (window === null || window.to === null || (from !== null && window.to >= from)),
    );
    if (from === null || reaches) return [];
    return [`Rows of ${table} before ${from} are in no backup that was restored here or waits to be.`];
  });
}

/** Restores into tables that are gone: the ledger must not go on saying that their rows are there. */
export async function forgetGone(stores: StoreProvider, input: StageInput): Promise<void> {
  const { ledger, loads } = await restoredLoads(stores, input);
  for (const { ref, isGone } of loads) if (isGone) await ledger.forgetLoad?.(ref);
}

interface RestoredLoad extends StoredLoad {
  readonly isGone: boolean;
}

async function restoredLoads(
  stores: StoreProvider,
  { job }: StageInput,
): Promise<{ readonly ledger: LoadLedger; readonly loads: readonly RestoredLoad[] }> {
  const { store, mode } = restoreSettings(job);
  const target = stores.get(store);
  const ledger = requireCapability(target, 'loadLedger');
  const all = await ledger.plans.all(job.name);
  const loads = all.filter(({ ref }) => restoredBackup(ref.load) !== null);
  const names = new Map(
    loads.flatMap(({ tables }) => tables.map((table) => [displayName(table.target), table.target])),
  );
  const found = await requireCapability(target, 'tableReader').find([...names.values()]);
  const missing = new Set([...names.keys()].filter((_name, index) => found[index] === null));
  const isMissing = ({ target: name }: StoredLoad['tables'][number]): boolean =>
    missing.has(displayName(name));
  return {
    ledger,
    loads: loads.map((load) => ({
      ...load,
      // Appended once more, the rows of tables that are still there would be doubled.
      isGone: mode === 'append' ? load.tables.every(isMissing) : load.tables.some(isMissing),
    })),
  };
}
