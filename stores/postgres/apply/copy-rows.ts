import type { RowImage } from '../../spi/log.ts';

/**
 * Rows of COPY's binary format in CopyData messages, made from row images: a field of an image differs only by its
 * kind byte. Formats: https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.55.9.4.5 and `RowImage`.
 */

export const kindNull = 0x6e;
export const kindUnchanged = 0x75;
export const kindText = 0x74;
export const kindBinary = 0x62;

const copyData = 0x64;
const frameBytes = 5;
const pieceBytes = 128 * 1024;
const signature = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');
/** Up to here a loop is faster than a call into native code. */
const shortBytes = 48;
/** A null is longer by so much than in an image. */
const slack = 3;

export class CopyRows {
  /** Small at first: most batches have few rows a table. */
  private bytes = Buffer.allocUnsafe(4096);
  private view = viewOf(this.bytes);
  private at = frameBytes;
  private readonly full: Buffer[] = [];

  constructor() {
    this.at += signature.copy(this.bytes, this.at);
  }

  get isFull(): boolean {
    return this.full.length > 0;
  }

  /** Pieces that are complete; each is handed out once. */
  take(): Buffer[] {
    return this.full.splice(0);
  }

  /** The last pieces, with the end mark. */
  end(): Buffer[] {
    this.room(2);
    this.int16(-1);
    this.cut();
    return this.take();
  }

  /** Begins a row. `bytes`: what its fields need at most; of those of an image, see `imageRoom`. */
  row(fields: number, bytes: number): void {
    this.room(2 + bytes);
    this.int16(fields);
  }

  nulls(count: number): void {
    for (let index = 0; index < count; index += 1) this.int32(-1);
  }

  fieldInt16(value: number): void {
    this.int32(2);
    this.int16(value);
  }

  fieldInt32(value: number): void {
    this.int32(4);
    this.int32(value);
  }

  fieldInt64(value: number): void {
    this.int32(8);
    this.at = this.bytes.writeBigInt64BE(BigInt(value), this.at);
  }

  fieldBytes(value: Uint8Array): void {
    this.int32(value.length);
    this.bytes.set(value, this.at);
    this.at += value.length;
  }

  /** The fields of an image that `take` marks with 1, in their order. What is null or unchanged becomes null. */
  fields(image: RowImage, take: Uint8Array): void {
    const { bytes, view } = this;
    let to = this.at;
    // One native copy, then fields move down over the kind bytes: a native call for each field costs more than the rest.
    let from = to + slack * take.length + 2;
    bytes.set(image, from - 2);
    for (let column = 0; column < take.length; column += 1) {
      const kind = bytes[from];
      if (kind === kindNull || kind === kindUnchanged) {
        from += 1;
        if (take[column] === 1) {
          view.setInt32(to, -1);
          to += 4;
        }
        continue;
      }
      const length = 4 + view.getUint32(from + 1);
      from += 1;
      if (take[column] === 1) {
        this.moveDown(from, to, length);
        to += length;
      }
      from += length;
    }
    this.at = to;
  }

  /** `to` is before `from`. */
  private moveDown(from: number, to: number, length: number): void {
    if (length > shortBytes) {
      this.bytes.copyWithin(to, from, from + length);
      return;
    }
    const { bytes, view } = this;
    const end = from + length;
    let source = from;
    let target = to;
    for (; source + 4 <= end; source += 4, target += 4) view.setInt32(target, view.getInt32(source));
    for (; source < end; source += 1, target += 1) bytes[target] = bytes[source] ?? 0;
  }

  /** The same, but only what `want` marks too has a value. */
  fieldsOrNull(image: RowImage, take: Uint8Array, want: Uint8Array): void {
    let from = 2;
    for (let column = 0; column < take.length; column += 1) {
      const kind = image[from];
      const absent = kind === kindNull || kind === kindUnchanged;
      const end = absent ? from + 1 : from + 5 + lengthAt(image, from + 1);
      if (take[column] === 1) {
        if (absent || want[column] !== 1) this.int32(-1);
        else this.at += image.copy(this.bytes, this.at, from + 1, end);
      }
      from = end;
    }
  }

  private int16(value: number): void {
    this.at = this.bytes.writeInt16BE(value, this.at);
  }

  private int32(value: number): void {
    this.at = this.bytes.writeInt32BE(value, this.at);
  }

  private room(bytes: number): void {
    if (this.at + bytes <= this.bytes.length) return;
    this.cut();
    this.bytes = Buffer.allocUnsafe(Math.max(pieceBytes, frameBytes + bytes));
    this.view = viewOf(this.bytes);
  }

  private cut(): void {
    if (this.at === frameBytes) return;
    this.bytes[0] = copyData;
    this.bytes.writeUInt32BE(this.at - 1, 1);
    this.full.push(this.bytes.subarray(0, this.at));
    this.at = frameBytes;
    this.bytes = Buffer.alloc(0);
  }
}

/** What the fields of an image need while they are written. */
export function imageRoom(image: RowImage, columns: number): number {
  return image.length + (slack + 1) * columns;
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

export function lengthAt(image: RowImage, at: number): number {
  return (
    (((image[at] ?? 0) << 24) |
      ((image[at + 1] ?? 0) << 16) |
      ((image[at + 2] ?? 0) << 8) |
      (image[at + 3] ?? 0)) >>>
    0
  );
}
