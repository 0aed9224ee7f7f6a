/** What choosing needs to know of a backup. Ids of one job sort by the time their runs were due. */
export interface ChainedBackup {
  readonly backup: string;
  /** `full`: all rows of its tables; `window`: those of a window in time. */
  readonly scope: 'full' | 'window';
}

/**
 * Backups that together are the latest state, in the order in which they must be restored: the newest full one, then
 * every window after it. Where there is no full one, all windows. What is older than the newest full one is history.
 */
export function restoreChain(backups: readonly ChainedBackup[]): readonly string[] {
  const inOrder = [...backups].sort((one, other) => (one.backup < other.backup ? -1 : 1));
  const start = inOrder.findLastIndex((one) => one.scope === 'full');
  return inOrder.slice(Math.max(0, start)).map((one) => one.backup);
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
