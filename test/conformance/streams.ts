import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const pieceBytes = 64 * 1024;

/** The content as a stream of pieces, as a pipe would hand it over. */
export function inPieces(content: Buffer): Readable {
  return Readable.from(pieces(content), { objectMode: false });
}

function* pieces(content: Buffer): Generator<Buffer> {
  for (let at = 0; at < content.length; at += pieceBytes) yield content.subarray(at, at + pieceBytes);
}

/** Gives so many bytes, then ends with the failure. */
export function startsThenFails(bytes: number, failure: Error): Readable {
  let given = 0;
  return new Readable({
    read() {
      if (given >= bytes) {
        this.destroy(failure);
        return;
      }
      const piece = Buffer.alloc(Math.min(pieceBytes, bytes - given), 7);
      given += piece.length;
      this.push(piece);
    },
  });
}

/** Gives so many bytes, then calls `then` and stays silent: neither ends nor fails. */
export function endless(bytes: number, then: () => void): Readable {
  let given = 0;
  return new Readable({
    read() {
      if (given >= bytes) {
        then();
        return;
      }
      const piece = Buffer.alloc(Math.min(pieceBytes, bytes - given), 7);
      given += piece.length;
      this.push(piece);
    },
  });
}

export async function contentOf(stream: Readable): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts);
}

export function hashOf(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

let collect: (() => void) | null = null;

/** Bytes that are still referred to, in the heap and in buffers: garbage is collected first. */
export function liveBytes(): number {
  if (collect === null) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  }
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
