import { Transform, type TransformCallback } from 'node:stream';
import type { RowFormat } from '../../spi/rows.ts';

/** Signature, flags, and the length of what follows them. */
const fixedHeaderBytes = 19;
const lengthAt = 15;
const trailerBytes = 2;

export interface PartOf {
  readonly isFirst: boolean;
  readonly isLast: boolean;
}

/** Counts the bytes of one object of rows. */
export class CountedRows extends Transform {
  bytes = 0;

  override _transform(piece: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    this.bytes += piece.length;
    callback(null, piece);
  }
}

/**
 * One of several objects that are read as one: in binary format each has a header and a trailer, of which only the first
 * and the last may stay. Text and CSV join as they are.
 */
export class JoinedRows extends Transform {
  private readonly place: PartOf;
  private readonly isBinary: boolean;
  private header: Buffer | null;
  private tail = Buffer.alloc(0);

  constructor(format: RowFormat, place: PartOf) {
    super();
    this.place = place;
    this.isBinary = format === 'binary';
    this.header = this.isBinary && !place.isFirst ? Buffer.alloc(0) : null;
  }

  override _transform(piece: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    const rows = this.isBinary ? this.withoutTrailer(this.withoutHeader(piece)) : piece;
    if (rows.length > 0) callback(null, rows);
    else callback();
  }

  private withoutHeader(piece: Buffer): Buffer {
    if (this.header === null) return piece;
    const begun = Buffer.concat([this.header, piece]);
    const length = begun.length < fixedHeaderBytes ? Infinity : headerLength(begun);
    if (begun.length < length) {
      this.header = begun;
      return Buffer.alloc(0);
    }
    this.header = null;
    return begun.subarray(length);
  }

  /** The last bytes so far are held back: they may be the trailer. */
  private withoutTrailer(piece: Buffer): Buffer {
    if (this.place.isLast) return piece;
    const held = Buffer.concat([this.tail, piece]);
    const keep = Math.max(0, held.length - trailerBytes);
    this.tail = Buffer.from(held.subarray(keep));
    return held.subarray(0, keep);
  }
}

function headerLength(begun: Buffer): number {
  return fixedHeaderBytes + begun.readUInt32BE(lengthAt);
}
