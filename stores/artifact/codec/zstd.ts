import * as zlib from 'node:zlib';
import { SynclineError } from '../../../definitions/errors.ts';
import { blockBytes } from './blocks.ts';
import { frameBytesAtMost } from './zstd-frame.ts';

/** One block to one frame and back, off the main thread. See docs/decisions for the choice. */
export interface Zstd {
  compress(block: Buffer, level: number): Promise<Buffer>;
  /** `frame` has been walked by `frameExtent`. Rejects when it does not decompress to at most `blockBytes`. */
  decompress(frame: Buffer): Promise<Buffer>;
}

let loaded: Promise<Zstd> | null = null;

/** Node's own from 22.15 on; before, the native package. Throws `store.unsupported` where neither runs. */
export function loadZstd(): Promise<Zstd> {
  loaded ??= Promise.resolve(nodeZstd()).then((own) => own ?? packagedZstd());
  return loaded;
}

type Call = (
  bytes: Buffer,
  options: { chunkSize: number; maxOutputLength?: number; params?: Record<number, number> },
  done: (error: Error | null, result: Buffer) => void,
) => void;

// ZSTD_c_compressionLevel of zstd.h; the types of Node 20 do not know the constant.
const compressionLevel = 100;

/** Null where node:zlib has no zstd. `chunkSize` holds the whole result: one trip to the pool and back, not one per 16 KiB. */
export function nodeZstd(): Zstd | null {
  const compress = callOf('zstdCompress');
  const decompress = callOf('zstdDecompress');
  if (compress === null || decompress === null) return null;
  return {
    compress: (block, level) =>
      called((done) => {
        compress(block, { chunkSize: frameBytesAtMost, params: { [compressionLevel]: level } }, done);
      }),
    decompress: (frame) =>
      called((done) => {
        decompress(frame, { chunkSize: blockBytes, maxOutputLength: blockBytes }, done);
      }),
  };
}

function callOf(name: string): Call | null {
  const found: unknown = Reflect.get(zlib, name);
  return typeof found === 'function' ? (found as Call) : null;
}

function called(start: (done: (error: Error | null, result: Buffer) => void) => void): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    start((error, result) => {
      if (error === null) resolve(result);
      else reject(error);
    });
  });
}

export async function packagedZstd(): Promise<Zstd> {
  const { Encoder, Decoder } = await import('@toondepauw/node-zstd').catch((cause: unknown) => {
    throw new SynclineError(
      'store.unsupported',
      'No zstd for this platform: run Node 22.15 or newer, or set `compression: gzip`',
      { cause },
    );
  });
  const decoder = new Decoder();
  return {
    compress: (block, level) => new Encoder(level).encode(block),
    decompress: async (frame) => {
      const block = await decoder.decode(frame);
      if (block.length > blockBytes) throw new RangeError('more came out of a frame than goes into one');
      return block;
    },
  };
}
