import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { compressed, type CompressOptions } from './compress.ts';
import { piecesOf, streamOf } from './generated-stream.ts';
import { keyIdOf } from './keys.ts';
import { sealed } from './seal.ts';

export interface EncodeOptions extends CompressOptions {
  /** 32 bytes: encrypt with it; null: do not. */
  readonly key: Buffer | null;
}

export interface EncodedSize {
  readonly rawBytes: number;
  readonly storedBytes: number;
  /** Of the stored bytes, hex. */
  readonly sha256: string;
}

export interface Encoded {
  readonly stored: Readable;
  /** When `stored` has given its last byte. Rejects with what `stored` ended with, or when it was destroyed before. */
  readonly result: Promise<EncodedSize>;
}

/**
 * The bytes of an object as they are stored, made while they are read, in a few MiB of memory. The error of `rows`
 * comes through as it is; destroying `stored` destroys `rows`. Throws `definition.invalid` for a level or key that is none.
 */
export function encode(rows: Readable, options: EncodeOptions): Encoded {
  // A wrong key is told at once, not to whoever reads.
  if (options.key !== null) keyIdOf(options.key);
  const tally = { raw: 0, stored: 0, hash: createHash('sha256') };
  // It may fail before anybody reads; the reader then meets the error, and the process must not end by it.
  rows.on('error', () => undefined);
  const packed = compressed(
    counted(piecesOf(rows), (piece) => (tally.raw += piece.length)),
    options,
    rows,
  );
  const closed = options.key === null ? packed : sealed(packed, options.key);
  const stored = streamOf(
    counted(closed, (piece) => {
      tally.stored += piece.length;
      tally.hash.update(piece);
    }),
    rows,
  );
  const result = ended(stored).then(() => ({
    rawBytes: tally.raw,
    storedBytes: tally.stored,
    sha256: tally.hash.digest('hex'),
  }));
  // Whoever only reads the stream learns of the error there.
  result.catch(() => undefined);
  return { stored, result };
}

async function* counted(
  pieces: AsyncGenerator<Buffer, void>,
  note: (piece: Buffer) => void,
): AsyncGenerator<Buffer, void> {
  for await (const piece of pieces) {
    note(piece);
    yield piece;
  }
}

function ended(stream: Readable): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.once('end', resolve);
    stream.once('error', reject);
    stream.once('close', () => reject(new Error('the object was not read to its end')));
  });
}
