import { Transform, type TransformCallback } from 'node:stream';
import { SynclineError } from '../../../definitions/errors.ts';

/** Signature, flags, and the length of what follows them. */
const fixedHeaderBytes = 19;
const lengthAt = 15;
const trailer = -1;

/**
 * Lets the rows of a binary COPY through whose key is not among `keys`: header and trailer as they are. A row is int16 number of
 * columns, then for each an int32 length (-1: null) and as many bytes. `at` says where the key's columns stand in a row, in
 * the order of the key.
 * https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-BINARY-FORMAT
 */
export class UntouchedRows extends Transform {
  /** Rows that came through. */
  rows = 0;
  private readonly keys: ReadonlySet<string>;
  private readonly at: readonly number[];
  private held: Buffer[] = [];
  private heldBytes = 0;
  /** No whole row can be there before so many bytes are. */
  private needed = fixedHeaderBytes;
  private state: 'header' | 'rows' | 'over' = 'header';

  constructor(keys: ReadonlySet<string>, at: readonly number[]) {
    super({ readableHighWaterMark: 256 * 1024, writableHighWaterMark: 256 * 1024 });
    this.keys = keys;
    this.at = at;
  }

  override _transform(piece: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    this.held.push(piece);
    this.heldBytes += piece.length;
    if (this.heldBytes >= this.needed) this.passOn();
    callback();
  }

  override _flush(callback: TransformCallback): void {
    const isWhole = this.state === 'over' && this.heldBytes === 0;
    callback(isWhole ? null : new SynclineError('artifact.corrupt', 'Rows of a backup end within a row.'));
  }

  private passOn(): void {
    const buffer = this.held.length === 1 ? (this.held[0] as Buffer) : Buffer.concat(this.held);
    let from = 0;
    let done = 0;
    for (;;) {
      const end = this.endAt(buffer, done);
      if (end < 0) break;
      // What goes ends a run of rows that stay.
      if (this.state === 'rows' && this.isTouched(buffer, done)) {
        if (done > from) this.push(buffer.subarray(from, done));
        from = end;
      } else if (this.state === 'rows') this.rows += 1;
      if (this.state === 'header') this.state = 'rows';
      done = end;
    }
    if (done > from) this.push(buffer.subarray(from, done));
    const rest = buffer.subarray(done);
    this.held = rest.length === 0 ? [] : [rest];
    this.heldBytes = rest.length;
  }

  /** Where what begins here ends; -1 when it is not all there, and `needed` says how much must be. */
  private endAt(buffer: Buffer, start: number): number {
    const left = buffer.length - start;
    const wants = (bytes: number): number => {
      this.needed = bytes;
      return left < bytes ? -1 : start + bytes;
    };
    if (this.state === 'over') return -1;
    if (this.state === 'header') {
      if (left < fixedHeaderBytes) return wants(fixedHeaderBytes);
      return wants(fixedHeaderBytes + buffer.readUInt32BE(start + lengthAt));
    }
    if (left < 2) return wants(2);
    const columns = buffer.readInt16BE(start);
    if (columns === trailer) this.state = 'over';
    if (columns < 0) return wants(2);
    let bytes = 2;
    for (let column = 0; column < columns; column += 1) {
      if (left < bytes + 4) return wants(bytes + 4);
      bytes += 4 + Math.max(0, buffer.readInt32BE(start + bytes));
    }
    return wants(bytes);
  }

  private isTouched(buffer: Buffer, start: number): boolean {
    const parts = new Array<string>(this.at.length);
    const columns = buffer.readInt16BE(start);
    let from = start + 2;
    for (let column = 0; column < columns; column += 1) {
      const end = from + 4 + Math.max(0, buffer.readInt32BE(from));
      const part = this.at.indexOf(column);
      if (part >= 0) parts[part] = buffer.toString('latin1', from, end);
      from = end;
    }
    return this.keys.has(parts.length === 1 ? (parts[0] ?? '') : parts.join(''));
  }
}

/** Keys that follow each other: of `columns` values each. */
export function readKeys(bytes: Buffer, columns: number, name: string): ReadonlySet<string> {
  const keys = new Set<string>();
  for (let at = 0; at < bytes.length;) {
    let end = at;
    for (let column = 0; column < columns; column += 1) {
      if (end + 4 > bytes.length) throw cutOff(name);
      end += 4 + Math.max(0, bytes.readInt32BE(end));
    }
    if (end > bytes.length) throw cutOff(name);
    keys.add(bytes.toString('latin1', at, end));
    at = end;
  }
  return keys;
}

function cutOff(name: string): SynclineError {
  return new SynclineError('artifact.corrupt', `${name}: it ends within a key.`);
}
