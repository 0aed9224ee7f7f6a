import type { RowImage } from '../../spi/log.ts';
import type { Fold, Folded } from './fold.ts';
import { op, type StagedRow } from './staging.ts';

/** What a fold asks for, sorted by the way it goes. */
export interface KeyedRows {
  readonly deletes: readonly StagedRow[];
  readonly deletesAbsent: readonly StagedRow[];
  readonly updates: readonly StagedRow[];
  /** New rows that take values from another one: they cannot be sent whole. */
  readonly insertsFromBase: readonly StagedRow[];
  readonly inserts: readonly RowImage[];
}

export function keyedRows(fold: Fold, rows: Iterable<Folded>): KeyedRows {
  const sorted = {
    deletes: [] as StagedRow[],
    deletesAbsent: [] as StagedRow[],
    updates: [] as StagedRow[],
    insertsFromBase: [] as StagedRow[],
    inserts: [] as RowImage[],
  };
  for (const row of rows) {
    const { image } = row;
    if (image === null) {
      if (row.wasThere) sorted.deletes.push(deletion(row, op.delete));
      // Where keys of different bytes may be equal, the row that is there may be another one, which stays.
      else if (fold.route.keyIsExact) sorted.deletesAbsent.push(deletion(row, op.deleteAbsent));
    } else if (row.wasThere) {
      sorted.updates.push(staged(row, image, op.update));
    } else if (row.hasUnchanged || row.base !== null) {
      sorted.insertsFromBase.push(staged(row, image, op.insert));
    } else {
      sorted.inserts.push(image);
    }
  }
  return sorted;
}

function deletion({ keyImage }: Folded, what: number): StagedRow {
  return { op: what, image: keyImage, keyOnly: true, hasUnchanged: false, base: null };
}

function staged({ hasUnchanged, base }: Folded, image: RowImage, what: number): StagedRow {
  return { op: what, image, keyOnly: false, hasUnchanged, base };
}

export function insertOf(image: RowImage): StagedRow {
  return { op: op.insert, image, keyOnly: false, hasUnchanged: false, base: null };
}
