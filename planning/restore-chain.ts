/** What choosing needs to know of a backup. Ids of one job sort by the time their runs were due. */
export interface ChainedBackup {
  /** Units that were set aside while it was made; absent: none. */
  readonly skippedUnits?: number;
  readonly backup: string;
  /** `full`: all rows of its tables; `window`: those of a window in time. */
  readonly scope: 'full' | 'window';
  readonly tables?: readonly string[];
  /** Window of each table that has one; bounds of one column compare as text. */
  readonly windows?: readonly {
    readonly table: string;
    readonly window: { readonly column: string; readonly from: string | null; readonly to: string | null };
  }[];
}

/**
 * Backups that together are the latest state, in the order in which they must be restored: the newest full one, then
 * every window after it. Where there is no full one, all windows. What is older than the newest full one is history, and
 * so is a window that a later one covers: its run was not verified, and the next one took its rows again, as they were
 * by then.
 */
export function restoreChain(backups: readonly ChainedBackup[]): readonly string[] {
  const inOrder = [...backups].sort((one, other) => (one.backup < other.backup ? -1 : 1));
  const start = inOrder.findLastIndex((one) => one.scope === 'full');
  const chain = inOrder.slice(Math.max(0, start));
  return chain
    .filter((one, index) => !chain.slice(index + 1).some((later) => covers(later, one)))
    .map((one) => one.backup);
}

function covers(later: ChainedBackup, one: ChainedBackup): boolean {
  if (one.scope === 'full' || one.windows === undefined || one.windows.length === 0) return false;
  // What it lacks may be here.
  if ((later.skippedUnits ?? 0) > 0) return false;
  if (!(one.tables ?? []).every((table) => later.tables?.includes(table) === true)) return false;
  return one.windows.every(({ table, window }) =>
    (later.windows ?? []).some((other) => other.table === table && holds(other.window, window)),
  );
}

type Window = NonNullable<ChainedBackup['windows']>[number]['window'];

function holds(wide: Window, narrow: Window): boolean {
  return (
    wide.column === narrow.column &&
    (wide.from === null || (narrow.from !== null && wide.from <= narrow.from)) &&
    (wide.to === null || (narrow.to !== null && narrow.to <= wide.to))
  );
}

export interface ChosenBackup {
  readonly backup: string;
  /** Later ones of the chain wait for their turn. */
  readonly waiting: readonly string[];
}

/**
 * The oldest of the chain that the target does not hold yet; the newest once it holds all, so that who asks again gets
 * it again. Null for an empty chain.
 */
export function nextOfChain(chain: readonly string[], held: ReadonlySet<string>): ChosenBackup | null {
  const missing = chain.filter((backup) => !held.has(backup));
  const backup = missing[0] ?? chain.at(-1);
  return backup === undefined ? null : { backup, waiting: missing.slice(1) };
}
