import type { Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import type { Compression } from '../../../definitions/contracts/job.ts';
import { SynclineError } from '../../../definitions/errors.ts';
import { inBlocks, oneAhead } from './blocks.ts';
import { streamOf, through } from './generated-stream.ts';
import { frameExtent } from './zstd-frame.ts';
import { loadZstd, type Zstd } from './zstd.ts';

/** Fast, since a backup has to keep up with the database; higher levels gained a few per cent of typical rows. */
const levels = {
  zstd: { default: 1, most: 19 },
  gzip: { default: 1, most: 9 },
} as const;

export interface CompressOptions {
  readonly compression: Compression;
  /** zstd 1 … 19, gzip 1 … 9; absent: 1. */
  readonly level?: number;
}

/**
 * zstd: block by block, each to a frame of its own, which the format allows to join. gzip: one member. Either is what the
 * command-line tools read. The work runs in libuv's pool. `source`: where `pieces` come from in the end, destroyed when the
 * reader leaves.
 */
export function compressed(
  pieces: AsyncGenerator<Buffer, void>,
  options: CompressOptions,
  source: Readable,
): AsyncGenerator<Buffer, void> {
  const { compression } = options;
  if (compression === 'none') return pieces;
  const level = options.level ?? levels[compression].default;
  if (!Number.isInteger(level) || level < 1 || level > levels[compression].most)
    throw new SynclineError(
      'definition.invalid',
      `The level of ${compression} is between 1 and ${levels[compression].most}`,
    );
  if (compression === 'gzip') return gzipped(pieces, level, source);
  return zstdFrames(pieces, level);
}

async function* zstdFrames(
  pieces: AsyncGenerator<Buffer, void>,
  level: number,
): AsyncGenerator<Buffer, void> {
  const zstd = await loadZstd();
  yield* oneAhead(inBlocks(pieces), (block) => readableFrame(zstd, block, level));
}

/**
 * The reader takes no frame that could need much memory, as told by the number of its blocks. Levels from 16 on can
 * split a block hundreds of times; then a low level, which cannot, is what can be read back.
 */
async function readableFrame(zstd: Zstd, block: Buffer, level: number): Promise<Buffer> {
  const frame = await zstd.compress(block, level);
  return frameExtent(frame).state === 'whole' ? frame : zstd.compress(block, 1);
}

/** One stream an object: a compressor for each block was half a megabyte each time, and had the collector run for it. */
function gzipped(
  pieces: AsyncGenerator<Buffer, void>,
  level: number,
  source: Readable,
): AsyncGenerator<Buffer, void> {
  // With the most memory (256 KiB more) level 1 was 14 % faster.
  return through(streamOf(pieces, source), createGzip({ level, memLevel: 9, chunkSize: 256 * 1024 }));
}
