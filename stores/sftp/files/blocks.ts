import type { Readable } from 'node:stream';

/** One request of the pipeline. OpenSSH takes up to 255 KiB; ssh2 splits for servers that take less. */
export const blockBytes = 128 * 1024;
/** Requests of one object under way at a time: 2 MiB, which keeps 160 Mbit/s at 100 ms busy. */
export const blocksAhead = 16;

/** The same bytes in blocks of one size, the last one shorter. */
export async function* blocksOf(body: Readable): AsyncGenerator<Buffer> {
  let parts: Buffer[] = [];
  let bytes = 0;
  for await (const given of body as AsyncIterable<Buffer | Uint8Array | string>) {
    const piece = bufferOf(given);
    for (let at = 0; at < piece.length;) {
      const part = piece.subarray(at, at + blockBytes - bytes);
      parts.push(part);
      bytes += part.length;
      at += part.length;
      if (bytes < blockBytes) continue;
      yield joined(parts);
      parts = [];
      bytes = 0;
    }
  }
  if (bytes > 0) yield joined(parts);
}

function bufferOf(given: Buffer | Uint8Array | string): Buffer {
  if (typeof given === 'string') return Buffer.from(given);
  return Buffer.isBuffer(given) ? given : Buffer.from(given.buffer, given.byteOffset, given.byteLength);
}

function joined(parts: readonly Buffer[]): Buffer {
  const [only] = parts;
  return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts);
}
