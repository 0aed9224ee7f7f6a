import type { LogPosition, RowChange, RowImage } from '../../spi/log.ts';
import { ImageScanner, markUnchanged, withUnchangedFrom } from './image.ts';
import { areEqual, hashOf, type KeyBytes, KeyTable } from './key-table.ts';
import { keyIsMissing, type Route } from './route.ts';

/**
 * What many changes of one table come to: the last image of each key. What the first change of a key was tells whether
 * its row is there before them. Keys are compared by their bytes.
 */

/** One key of a fold. */
export interface Folded {
  /** Whether the row is in the table before the fold, by what the log says. */
  wasThere: boolean;
  /** The row after it; null: gone. */
  image: RowImage | null;
  /** Whether `image` has columns that are to stay as they are in the table. */
  hasUnchanged: boolean;
  /** An image with the key, for a row that is gone. */
  keyImage: RowImage;
  /** An image with the key of the row that values come from which stay as they are; null: the row's own. */
  base: RowImage | null;
  /** The table has all of it already. */
  isDone: boolean;
  lane: number;
}

/** How keys are spread over sessions that commit on their own. */
export interface Spread {
  laneOf(route: Route, hash: number): number;
  /** Whether the lane has committed the place before: it was ahead when the writer ended. */
  isDone(lane: number, position: LogPosition): boolean;
}

export class Fold {
  readonly route: Route;
  /** A row takes values from one of another lane: both must be committed at once. */
  crossesLanes = false;
  private readonly table = new KeyTable<Folded>();
  private readonly scanner: ImageScanner;
  private readonly spread: Spread | null;
  private readonly all: Uint8Array;
  private position: LogPosition = '';

  constructor(route: Route, spread: Spread | null) {
    this.route = route;
    this.spread = spread;
    this.all = new Uint8Array(route.relation.columns.length).fill(1);
    this.scanner = new ImageScanner(this.all.length, route.key);
  }

  /** Kind of value (`t`, `b`) of each column of the images; 0: none had one. */
  get kinds(): Uint8Array {
    return this.scanner.kinds;
  }

  get rows(): readonly Folded[] {
    return this.table.values;
  }

  /** False: the change has values in another encoding than those before, so a fold of its own must begin with it. */
  add(change: RowChange): boolean {
    const { old, new: image } = change;
    const { scanner } = this;
    let oldKey: KeyBytes | null = null;
    if (old !== null) {
      if (!scanner.fits(old)) return false;
      oldKey = this.keyOf(old);
    }
    if (image !== null && !scanner.fits(image)) return false;
    this.position = change.transaction.position;
    if (image === null) {
      if (oldKey === null || old === null) throw keyIsMissing(this.route.leaf);
      leave(this.rowAt(oldKey, old, true));
    } else if (change.kind === 'insert') {
      this.put(this.keyOf(image), image, false);
    } else if (old === null || oldKey === null) {
      const row = this.rowAt(this.keyOf(image), image, true);
      this.follow(row, row, { image, hasUnchanged: scanner.hasUnchanged });
    } else {
      this.updateFrom(change, { key: oldKey, image: old }, image);
    }
    return true;
  }

  private updateFrom(change: RowChange, old: KeyedImage, image: RowImage): void {
    let next: NextImage = { image, hasUnchanged: this.scanner.hasUnchanged };
    if (next.hasUnchanged) {
      // Of an old image with the key only, other columns are null and mean nothing.
      const meant = change.relation.identity === 'row' ? null : this.route.key;
      const filled = withUnchangedFrom(image, old.image, meant ?? this.all);
      this.scanner.fits(filled);
      next = { image: filled, hasUnchanged: this.scanner.hasUnchanged };
    }
    const key = this.keyOf(next.image);
    if (areEqual(old.key, key)) {
      const row = this.rowAt(key, next.image, true);
      this.follow(row, row, next);
      return;
    }
    const from = this.rowAt(old.key, old.image, true);
    const before = { ...from };
    leave(from);
    const to = this.put(key, next.image, next.hasUnchanged);
    this.follow(to, before, next);
    if (next.hasUnchanged && from.lane !== to.lane) this.crossesLanes = true;
  }

  private put(key: KeyBytes, image: RowImage, hasUnchanged: boolean): Folded {
    const row = this.rowAt(key, image, false);
    row.image = image;
    row.hasUnchanged = hasUnchanged;
    row.base = null;
    return row;
  }

  /** Sets the row to an image whose unchanged columns are those of `before`. */
  private follow(row: Folded, before: Readonly<Folded>, next: NextImage): void {
    const isOther = row !== before;
    const keeps =
      before.base ?? (isOther && before.wasThere && this.route.own.length > 0 ? before.keyImage : null);
    if (!next.hasUnchanged) {
      row.image = next.image;
      row.hasUnchanged = false;
      row.base = this.route.own.length > 0 ? keeps : null;
      return;
    }
    const base = before.base ?? (isOther ? before.keyImage : null);
    row.image = before.image === null ? next.image : withUnchangedFrom(next.image, before.image, this.all);
    row.hasUnchanged = this.marks(row.image);
    row.base = row.hasUnchanged ? base : this.route.own.length > 0 ? keeps : null;
  }

  /** The row of a key, as it is before the change at hand. `wasThere`: what that change says, if it is the first. */
  private rowAt(key: KeyBytes, image: RowImage, wasThere: boolean): Folded {
    const { spread } = this;
    let row = this.table.find(key);
    if (row === undefined) {
      const lane = spread === null ? 0 : spread.laneOf(this.route, hashOf(key));
      const isDone = spread?.isDone(lane, this.position) ?? false;
      row = { wasThere, image: null, hasUnchanged: false, keyImage: image, base: null, isDone, lane };
      this.table.add(key, row);
    } else if (row.isDone && spread?.isDone(row.lane, this.position) === false) {
      // Up to here the table has it, so that is what the row was before.
      row.wasThere = row.image !== null;
      row.base = null;
      row.isDone = false;
    }
    return row;
  }

  private marks(image: RowImage): boolean {
    return markUnchanged(image, new Uint8Array(this.all.length));
  }

  /** Of the image that was scanned last. */
  private keyOf(image: RowImage): KeyBytes {
    const key = this.scanner.keyOf(image);
    if (key === null) throw keyIsMissing(this.route.leaf);
    return key;
  }
}

interface KeyedImage {
  readonly key: KeyBytes;
  readonly image: RowImage;
}

interface NextImage {
  readonly image: RowImage;
  readonly hasUnchanged: boolean;
}

function leave(row: Folded): void {
  row.image = null;
  row.hasUnchanged = false;
  row.base = null;
}
