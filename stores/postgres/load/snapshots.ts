/** Reads the text of `pg_snapshot` (`xmin:xmax:xip,…`, 64-bit transaction ids) and compares two of them. */

export interface Snapshot {
  /** Every transaction below is over. */
  readonly xmin: bigint;
  /** No transaction at or above is visible. */
  readonly xmax: bigint;
  /** Transactions in between that were running; a standby lists none. */
  readonly running: ReadonlySet<bigint>;
}

/** Null for text that is no snapshot. */
export function parseSnapshot(text: string): Snapshot | null {
  const parts = /^(\d+):(\d+):(\d+(?:,\d+)*)?$/.exec(text);
  if (parts === null) return null;
  const [, xmin = '0', xmax = '0', running] = parts;
  const listed = running === undefined ? [] : running.split(',').map(BigInt);
  return { xmin: BigInt(xmin), xmax: BigInt(xmax), running: new Set(listed) };
}

/**
 * Whether `later` sees every transaction that `earlier` sees. `complete`: `later` lists what was running; on a standby
 * anything from its xmin on may have been.
 */
export function seesAllOf(later: Snapshot, earlier: Snapshot, complete: boolean): boolean {
  if (later.xmax < earlier.xmax) return false;
  if (!complete) return later.xmin >= earlier.xmax;
  return [...later.running].every((xid) => xid >= earlier.xmax || earlier.running.has(xid));
}

const wrap = 1n << 32n;
/** Old rows whose 32 bits look new again become more likely, and what is older still cannot be told at all. */
const mostXids = (1n << 31n) - 1_000_000n;

/**
 * Condition for rows that a transaction of `[earlier.xmin, later.xmax)` has written, by the 32 bits of `xmin`; null when
 * there are too many transactions in between. Compared as bytes in network order: of all ways the server has to
 * compare two xids that do not hinder parallel workers (`age` does), it costs least.
 */
export function writtenSince(later: Snapshot, earlier: Snapshot): string | null {
  if (later.xmax - earlier.xmin >= mostXids) return null;
  if (later.xmax <= earlier.xmin) return 'false';
  const from = earlier.xmin % wrap;
  const to = later.xmax % wrap;
  const written = 'xidsend(xmin)';
  const both = from < to ? 'AND' : 'OR';
  return `(${written} >= ${asBytes(from)} ${both} ${written} < ${asBytes(to)})`;
}

function asBytes(xid: bigint): string {
  return `decode('${xid.toString(16).padStart(8, '0')}', 'hex')`;
}
