const dayMs = 86_400_000;

export interface KeptBackup {
  readonly backup: string;
  /** `window`: it stands on the full backup before it, and on the windows in between. */
  readonly scope: 'full' | 'window';
  /** ISO 8601. */
  readonly createdAt: string;
}

export interface Keep {
  /** The newest so many; null: no such rule. */
  readonly last: number | null;
  /** Whatever is younger than so many days; null: no such rule. */
  readonly days: number | null;
  /** ISO 8601. */
  readonly now: string;
}

/**
 * Backups that no rule keeps, oldest first; with both rules a backup goes only when neither keeps it, with none nothing
 * goes. The newest one always stays: a rule of days must not leave a job that stood still without any backup. So does what
 * a kept window stands on; where there is no full backup, windows go one by one.
 */
export function backupsToPrune(backups: readonly KeptBackup[], keep: Keep): readonly string[] {
  const { last, days } = keep;
  if (last === null && days === null) return [];
  const newestFirst = [...backups].sort(
    (one, other) => compare(other.createdAt, one.createdAt) || compare(other.backup, one.backup),
  );
  const youngerThan = days === null ? Infinity : Date.parse(keep.now) - days * dayMs;
  const isKept = ({ createdAt }: KeptBackup, index: number): boolean =>
    index < Math.max(1, last ?? 0) || Date.parse(createdAt) > youngerThan;
  const oldestKept = newestFirst.findLastIndex(isKept);
  const base = newestFirst.findIndex(({ scope }, index) => index >= oldestKept && scope === 'full');
  return newestFirst
    .slice(Math.max(oldestKept, base) + 1)
    .map((one) => one.backup)
    .reverse();
}

function compare(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
