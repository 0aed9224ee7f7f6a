import { SynclineError } from '../../../definitions/errors.ts';
import type { SnapshotMark } from '../../spi/rows.ts';
import { parseSnapshot } from '../load/snapshots.ts';

const low32 = 0xffff_ffffn;

/**
 * Whether a transaction is visible in the snapshot of a mark, by the 32 bits of its id that the log holds. They are
 * taken for the 64-bit id nearest to xmax: transactions that a log can still speak of are no 2^31 away from it.
 */
export function visibilityIn(mark: SnapshotMark): (xid: number) => boolean {
  const snapshot = parseSnapshot(mark.snapshot);
  if (snapshot === null) throw new SynclineError('internal.unexpected', 'A mark holds no snapshot.');
  const xmax = Number(snapshot.xmax & low32);
  const xmin = Number(snapshot.xmin - snapshot.xmax);
  const running = new Set([...snapshot.running].map((xid) => Number(xid & low32)));
  return (xid) => {
    const fromXmax = (xid - xmax) | 0;
    return fromXmax < 0 && (fromXmax < xmin || !running.has(xid));
  };
}
