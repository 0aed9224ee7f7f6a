import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { Compression } from '../../../../definitions/contracts/job.ts';
import { decode, type ExpectedObject } from '../../../../stores/artifact/codec/decode.ts';
import { encode } from '../../../../stores/artifact/codec/encode.ts';
import { keyIdOf } from '../../../../stores/artifact/codec/keys.ts';

export const key = Buffer.alloc(32, 7);
export const otherKey = Buffer.alloc(32, 8);
export const compressions: readonly Compression[] = ['zstd', 'gzip', 'none'];

export interface Made {
  readonly stored: Buffer;
  readonly expected: ExpectedObject;
  readonly rawBytes: number;
}

export interface HowMade {
  readonly compression: Compression;
  readonly level?: number;
  readonly key: Buffer | null;
}

export async function bytesOf(stream: Readable): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of stream as AsyncIterable<Buffer>) pieces.push(piece);
  return Buffer.concat(pieces);
}

export function cutAt(bytes: Buffer, pieceBytes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let from = 0;
  for (let n = 0; from < bytes.length; n += 1) {
    const length = pieceBytes[n % Math.max(1, pieceBytes.length)] ?? bytes.length;
    pieces.push(bytes.subarray(from, from + length));
    from += length;
  }
  return pieces;
}

export async function make(raw: Buffer | readonly Buffer[], how: HowMade): Promise<Made> {
  const { stored, result } = encode(
    Readable.from(Buffer.isBuffer(raw) ? [raw] : raw, { objectMode: false }),
    how,
  );
  const bytes = await bytesOf(stored);
  const { rawBytes, storedBytes, sha256 } = await result;
  const encrypted = how.key === null ? null : keyIdOf(how.key);
  return {
    stored: bytes,
    rawBytes,
    expected: { name: 'data/public.orders/1', compression: how.compression, storedBytes, sha256, encrypted },
  };
}

/** As an object that its manifest knows this way: only what lies deeper than the hash can refuse it. */
export function agreeing(expected: ExpectedObject, stored: Buffer): ExpectedObject {
  const sha256 = createHash('sha256').update(stored).digest('hex');
  return { ...expected, storedBytes: stored.length, sha256 };
}

export function read(
  stored: Buffer,
  expected: ExpectedObject,
  keys: readonly Buffer[] = [key],
): Promise<Buffer> {
  return bytesOf(decode(Readable.from(cutAt(stored, [65536]), { objectMode: false }), expected, keys));
}

/** Rows much like COPY's: some of it repeats, some of it does not. */
export function rowLike(bytes: number, seed = 1): Buffer {
  const made = Buffer.alloc(bytes);
  let state = seed;
  for (let at = 0; at < bytes; at += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    made[at] = at % 16 < 8 ? at % 16 : state >>> 28;
  }
  return made;
}
