import type { KeyRange } from '../../../stores/spi/chunk-source.ts';
import type { LoadedChunk } from '../../../stores/spi/load-ledger.ts';
import {
  type LogChange,
  logStart,
  type LogPosition,
  type LogRelation,
  type LogSource,
  type LogTransaction,
  type RowChange,
  type RowImage,
  type TruncateChange,
} from '../../../stores/spi/log.ts';

/**
 * The hand-over from load to log (design 3.1, step 3): a change is applied iff its transaction is not visible in the
 * snapshot that its slice of the chunk was loaded under.
 */
export interface SnapshotFilter {
  rows(change: RowChange): readonly LogChange[];
  truncate(change: TruncateChange): readonly LogChange[];
  /** Beyond this position nothing is visible any more, so nothing is filtered; `logStart` when nothing ever is. */
  readonly until: LogPosition;
}

type Slice = LoadedChunk['slices'][number];

const none: readonly LogChange[] = [];

export function filterOf(log: LogSource, slices: readonly Slice[]): SnapshotFilter {
  const seen = slices.map((slice) => seenBy(log, slice));
  const until = slices.reduce((latest, { mark }) => {
    const position = mark === null ? logStart : log.positionOf(mark);
    return position > latest ? position : latest;
  }, logStart);
  const [first] = seen;
  if (first === undefined) return { rows: (change) => [change], truncate: (change) => [change], until };
  if (seen.length === 1) {
    const admit = (change: LogChange): readonly LogChange[] => (first(change.transaction) ? none : [change]);
    return { rows: admit, truncate: admit, until };
  }
  return new SliceFilter(log, { slices, seen, until });
}

/** Whether a transaction is in the slice already. Beyond the snapshot's position none is: no xid needs to be compared. */
function seenBy(log: LogSource, { mark }: Slice): (transaction: LogTransaction) => boolean {
  if (mark === null) return () => false;
  const until = log.positionOf(mark);
  const isVisible = log.visibility(mark);
  return ({ position, xid }) => position <= until && isVisible(xid);
}

interface SliceFacts {
  readonly slices: readonly Slice[];
  readonly seen: readonly ((transaction: LogTransaction) => boolean)[];
  readonly until: LogPosition;
}

/** A chunk whose slices were read at different instants: what a change is depends on where its row was and is. */
class SliceFilter implements SnapshotFilter {
  readonly until: LogPosition;
  private readonly log: LogSource;
  private readonly ranges: readonly (KeyRange | null)[];
  private readonly seen: SliceFacts['seen'];
  private readonly locators = new Map<LogRelation, (image: RowImage) => number>();

  constructor(log: LogSource, { slices, seen, until }: SliceFacts) {
    this.log = log;
    this.until = until;
    this.seen = seen;
    this.ranges = slices.map(({ range }) => range);
  }

  rows(change: RowChange): readonly LogChange[] {
    if (change.transaction.position > this.until) return [change];
    const to = change.new === null ? null : this.isIn(change, change.new);
    const from = change.old === null ? to : this.isIn(change, change.old);
    // Both ends in slices that hold it, or neither: the change goes, or comes, as a whole.
    if (to === null) return from === true ? none : [change];
    if (from === to || change.kind === 'insert') return to ? none : [change];
    const { relation, transaction } = change;
    return to
      ? [{ kind: 'delete', relation, transaction, old: change.old, new: null }]
      : [{ kind: 'insert', relation, transaction, old: null, new: change.new }];
  }

  truncate(change: TruncateChange): readonly LogChange[] {
    const missing = this.seen.flatMap((isSeen, index) => (isSeen(change.transaction) ? [] : [index]));
    if (missing.length === 0) return none;
    if (missing.length === this.seen.length) return [change];
    const ranges = missing.flatMap((index) => this.ranges[index] ?? []);
    return [{ ...change, ranges }];
  }

  private isIn({ relation, transaction }: RowChange, image: RowImage): boolean {
    let locate = this.locators.get(relation);
    if (locate === undefined) {
      locate = this.log.locate(relation, this.ranges) ?? undefined;
      // Preflight does not cut such tables.
      if (locate === undefined) throw new Error('A key that cannot be located was cut into ranges.');
      this.locators.set(relation, locate);
    }
    return this.seen[locate(image)]?.(transaction) ?? false;
  }
}
