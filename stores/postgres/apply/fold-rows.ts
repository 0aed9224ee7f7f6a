import type { RowChange, RowImage } from '../../spi/log.ts';
import { carriedBytes, ImageScanner, withUnchangedFrom } from './image.ts';
import { KeyTable } from './key-table.ts';
import { rowMissing } from './row-missing.ts';
import { keyIsMissing, type Route } from './route.ts';

/**
 * What many changes of a table without a key come to. Rows that are equal stand for each other, so only numbers matter:
 * how many more or fewer of each there are. Rows are compared by the bytes of what is carried of them.
 */

interface Counted {
  readonly image: RowImage;
  count: number;
}

export interface RowCount {
  readonly image: RowImage;
  readonly count: number;
}

export class RowsFold {
  readonly route: Route;
  private readonly scanner: ImageScanner;
  private readonly all: Uint8Array;
  /** While nothing but new rows has come, nothing has to be compared. */
  private fresh: RowImage[] | null = [];
  private readonly table = new KeyTable<Counted>();

  constructor(route: Route) {
    this.route = route;
    this.all = new Uint8Array(route.relation.columns.length).fill(1);
    this.scanner = new ImageScanner(this.all.length, null);
  }

  /** As Fold.add. */
  add(change: RowChange): boolean {
    const { old } = change;
    let image = change.new;
    if (old !== null && !this.scanner.fits(old)) return false;
    if (image !== null && !this.scanner.fits(image)) return false;
    const hasUnchanged = image !== null && this.scanner.hasUnchanged;
    if (change.kind === 'insert' && image !== null) {
      this.count(image, 1);
      return true;
    }
    if (old === null || change.relation.identity !== 'row') throw keyIsMissing(this.route.leaf);
    if (image !== null && hasUnchanged) {
      image = withUnchangedFrom(image, old, this.all);
      this.scanner.fits(image);
      if (this.scanner.hasUnchanged) throw rowMissing(this.route.target);
    }
    this.count(old, -1);
    if (image !== null) this.count(image, 1);
    return true;
  }

  get kinds(): Uint8Array {
    return this.scanner.kinds;
  }

  get deletes(): readonly RowCount[] {
    if (this.fresh !== null) return [];
    return this.table.values
      .filter(({ count }) => count < 0)
      .map(({ image, count }) => ({ image, count: -count }));
  }

  *inserts(): Generator<RowImage> {
    if (this.fresh !== null) {
      yield* this.fresh;
      return;
    }
    for (const { image, count } of this.table.values) for (let copy = 0; copy < count; copy += 1) yield image;
  }

  get insertCount(): number {
    if (this.fresh !== null) return this.fresh.length;
    let sum = 0;
    for (const { count } of this.table.values) sum += Math.max(0, count);
    return sum;
  }

  private count(image: RowImage, by: 1 | -1): void {
    if (this.fresh !== null) {
      if (by === 1) {
        this.fresh.push(image);
        return;
      }
      const before = this.fresh;
      this.fresh = null;
      for (const row of before) this.count(row, 1);
    }
    const bytes = carriedBytes(image, this.route.carried);
    const known = this.table.find(bytes);
    if (known === undefined) this.table.add(bytes, { image, count: by });
    else known.count += by;
  }
}
