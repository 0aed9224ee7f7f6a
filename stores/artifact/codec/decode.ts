import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { Compression } from '../../../definitions/contracts/job.ts';
import { corrupt } from './corrupt.ts';
import { decompressed } from './decompress.ts';
import { piecesOf, streamOf } from './generated-stream.ts';
import type { KeyId } from './keys.ts';
import { opened } from './seal.ts';

/** What the manifest says of an object. */
export interface ExpectedObject {
  /** For messages. */
  readonly name: string;
  readonly compression: Compression;
  readonly storedBytes: number;
  /** Of the stored bytes, hex. */
  readonly sha256: string;
  readonly encrypted: KeyId | null;
}

/**
 * The raw bytes of an object, made while they are read. Ends with `artifact.corrupt` or `artifact.wrongKey` (none of
 * `keys` is the one) instead of its end; bytes given out before are then worth nothing. The error of `stored` comes
 * through as it is; destroying the result destroys `stored`.
 */
export function decode(stored: Readable, expected: ExpectedObject, keys: readonly Buffer[]): Readable {
  stored.on('error', () => undefined);
  const { name, encrypted, compression } = expected;
  const checked = verified(piecesOf(stored), expected);
  const packed = encrypted === null ? checked : opened(checked, { name, keyId: encrypted, keys });
  return streamOf(decompressed(packed, { name, compression, source: stored }), stored);
}

/** Passes the stored bytes on, and ends only when they were all of them and no others. */
async function* verified(
  pieces: AsyncGenerator<Buffer, void>,
  expected: ExpectedObject,
): AsyncGenerator<Buffer, void> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const piece of pieces) {
    bytes += piece.length;
    if (bytes > expected.storedBytes)
      throw corrupt(expected.name, `longer than its ${expected.storedBytes} bytes`);
    hash.update(piece);
    yield piece;
  }
  if (bytes < expected.storedBytes)
    throw corrupt(expected.name, `${bytes} bytes instead of ${expected.storedBytes}`);
  if (hash.digest('hex') !== expected.sha256) throw corrupt(expected.name, 'its SHA-256 is another one');
}
