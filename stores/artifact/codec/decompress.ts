import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { Compression } from '../../../definitions/contracts/job.ts';
import { oneAhead } from './blocks.ts';
import { corrupt } from './corrupt.ts';
import { streamOf, through } from './generated-stream.ts';
import { frameBytesAtMost, frameExtent } from './zstd-frame.ts';
import { loadZstd } from './zstd.ts';

export interface DecompressOptions {
  readonly name: string;
  readonly compression: Compression;
  /** Where `pieces` come from in the end: destroyed when the reader leaves. */
  readonly source: Readable;
}

/** The reverse of `compressed`. Never ends before `pieces` have: their end is what says that they were right. */
export function decompressed(
  pieces: AsyncGenerator<Buffer, void>,
  options: DecompressOptions,
): AsyncGenerator<Buffer, void> {
  if (options.compression === 'none') return pieces;
  return options.compression === 'gzip' ? gunzipped(pieces, options) : unframed(pieces, options.name);
}

async function* gunzipped(
  pieces: AsyncGenerator<Buffer, void>,
  options: DecompressOptions,
): AsyncGenerator<Buffer, void> {
  const input = streamOf(pieces, options.source);
  try {
    yield* through(input, createGunzip({ chunkSize: 256 * 1024 }));
  } catch (problem) {
    throw ofZlib(problem) ? corrupt(options.name, 'not what gzip made', problem) : problem;
  }
  // zlib takes zeros behind a member for padding and stops; nobody would have looked at the rest.
  if (!input.readableEnded) throw corrupt(options.name, 'bytes follow the end of the compressed data');
}

function ofZlib(problem: unknown): boolean {
  return problem instanceof Error && 'code' in problem && String(problem.code).startsWith('Z_');
}

async function* unframed(pieces: AsyncGenerator<Buffer, void>, name: string): AsyncGenerator<Buffer, void> {
  const zstd = await loadZstd();
  yield* oneAhead(framesOf(pieces, name), (frame) =>
    zstd.decompress(frame).catch((cause: unknown) => {
      throw corrupt(name, 'not what zstd made', cause);
    }),
  );
}

/** Whole frames, each in a buffer of its own. */
async function* framesOf(pieces: AsyncGenerator<Buffer, void>, name: string): AsyncGenerator<Buffer, void> {
  const held = new Held();
  let any = false;
  for await (const piece of pieces) {
    for (let from = 0; from < piece.length;) {
      from += held.add(piece, from);
      for (let frame = held.frame(name); frame !== null; frame = held.frame(name)) {
        yield frame;
        any = true;
      }
    }
  }
  if (held.bytes > 0 || !any) throw corrupt(name, 'cut off within a zstd frame');
}

/** What has arrived of the frame under way, contiguous, in one buffer for the whole stream. */
class Held {
  private buffer = Buffer.allocUnsafeSlow(64 * 1024);
  private start = 0;
  private end = 0;

  get bytes(): number {
    return this.end - this.start;
  }

  /** Takes what there is room for; returns how much. There is always some while no frame is whole. */
  add(piece: Buffer, from: number): number {
    if (this.end + piece.length - from > this.buffer.length) this.makeRoom(piece.length - from);
    const taken = piece.copy(this.buffer, this.end, from);
    this.end += taken;
    return taken;
  }

  private makeRoom(wanted: number): void {
    const needed = Math.min(this.bytes + wanted, 2 * frameBytesAtMost);
    const grown = Math.min(Math.max(needed, 2 * this.buffer.length), 2 * frameBytesAtMost);
    const buffer = needed > this.buffer.length ? Buffer.allocUnsafeSlow(grown) : this.buffer;
    this.buffer.copy(buffer, 0, this.start, this.end);
    this.buffer = buffer;
    this.end -= this.start;
    this.start = 0;
  }

  frame(name: string): Buffer | null {
    if (this.bytes === 0) return null;
    const extent = frameExtent(this.buffer.subarray(this.start, this.end));
    if (extent.state === 'wrong') throw corrupt(name, extent.why);
    if (extent.state === 'more') return null;
    const frame = Buffer.from(this.buffer.subarray(this.start, this.start + extent.bytes));
    this.start += extent.bytes;
    return frame;
  }
}
