import type { RowImage } from '../../spi/log.ts';
import { kindNull, kindUnchanged, lengthAt } from './copy-rows.ts';
import type { KeyBytes } from './key-table.ts';

/** What is read out of row images. As few objects as can be: a batch has hundreds of thousands of them. */

/** Walks over images of one shape. What it says is of the image that it walked over last. */
export class ImageScanner {
  hasUnchanged = false;
  /** Kinds of value (`t`, `b`) that each column has been seen with; 0: none yet. */
  readonly kinds: Uint8Array;
  private readonly key: Uint8Array | null;
  private hasKey = false;
  private from = 0;
  private to = 0;
  /** Columns that are no part of the key lie between those that are. */
  private isSplit = false;

  constructor(columns: number, key: Uint8Array | null) {
    this.kinds = new Uint8Array(columns);
    this.key = key;
  }

  /** False: a column comes in another kind than before. */
  fits(image: RowImage): boolean {
    const { kinds, key } = this;
    this.hasUnchanged = false;
    this.hasKey = key !== null;
    this.from = 0;
    this.isSplit = false;
    let at = 2;
    for (let column = 0; column < kinds.length; column += 1) {
      const kind = image[at];
      let end = at + 1;
      if (kind === kindUnchanged) {
        this.hasUnchanged = true;
      } else if (kind !== kindNull) {
        const before = kinds[column];
        if (before === 0) kinds[column] = kind ?? 0;
        else if (before !== kind) return false;
        end = at + 5 + lengthAt(image, at + 1);
      }
      if (key !== null && key[column] === 1) {
        if (end === at + 1) this.hasKey = false;
        else if (this.from === 0) this.from = at;
        else if (this.to !== at) this.isSplit = true;
        this.to = end;
      }
      at = end;
    }
    return true;
  }

  /** The key's columns with their lengths; null when one of them is not in the image. */
  keyOf(image: RowImage): KeyBytes | null {
    if (!this.hasKey || this.key === null) return null;
    if (!this.isSplit) return { bytes: image, from: this.from, to: this.to };
    const bytes = Buffer.concat(fieldsOf(image, this.key));
    return { bytes, from: 0, to: bytes.length };
  }
}

/** Marks with 1 the columns of the image that are unchanged. Answers whether there are any. */
export function markUnchanged(image: RowImage, marks: Uint8Array): boolean {
  let at = 2;
  let any = false;
  for (let column = 0; column < marks.length; column += 1) {
    if (image[at] === kindUnchanged) {
      marks[column] = 1;
      any = true;
    }
    at = endOfField(image, at);
  }
  return any;
}

/**
 * The image with its unchanged columns, as far as `only` marks them with 1, taken from an earlier one of the same shape,
 * which may have them unchanged too.
 */
export function withUnchangedFrom(image: RowImage, earlier: RowImage, only: Uint8Array): RowImage {
  const parts: Buffer[] = [image.subarray(0, 2)];
  let at = 2;
  let earlierAt = 2;
  for (let column = 0; column < only.length; column += 1) {
    const end = endOfField(image, at);
    const earlierEnd = endOfField(earlier, earlierAt);
    const filled = image[at] === kindUnchanged && only[column] === 1;
    parts.push(filled ? earlier.subarray(earlierAt, earlierEnd) : image.subarray(at, end));
    at = end;
    earlierAt = earlierEnd;
  }
  return Buffer.concat(parts);
}

/** The bytes of the columns that are marked with 1: the image itself where that is all. */
export function carriedBytes(image: RowImage, carried: Uint8Array): KeyBytes {
  const bytes = carried.includes(0) ? Buffer.concat(fieldsOf(image, carried)) : image;
  return { bytes, from: 0, to: bytes.length };
}

function fieldsOf(image: RowImage, wanted: Uint8Array): Buffer[] {
  const fields: Buffer[] = [];
  let at = 2;
  for (const mark of wanted) {
    const end = endOfField(image, at);
    if (mark === 1) fields.push(image.subarray(at, end));
    at = end;
  }
  return fields;
}

function endOfField(image: RowImage, at: number): number {
  const kind = image[at];
  return kind === kindNull || kind === kindUnchanged ? at + 1 : at + 5 + lengthAt(image, at + 1);
}
