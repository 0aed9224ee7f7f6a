import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';

const pieceBytes = 256 * 1024;

export interface FileReading {
  readonly from: number;
  /** Makes our error of what the system said. */
  readonly fault: (error: unknown) => Error;
}

/** The file from a byte to its end; closed when the stream ends or is left, however that comes. */
export function readFrom(handle: FileHandle, { from, fault }: FileReading): Readable {
  let at = from;
  return new Readable({
    highWaterMark: 2 * pieceBytes,
    read() {
      // A buffer of its own each time: the consumer keeps it for as long as it likes.
      handle.read(Buffer.allocUnsafeSlow(pieceBytes), 0, pieceBytes, at).then(
        ({ bytesRead, buffer }) => {
          at += bytesRead;
          this.push(bytesRead === 0 ? null : buffer.subarray(0, bytesRead));
        },
        (error: unknown) => this.destroy(fault(error)),
      );
    },
    destroy(error, done) {
      handle.close().then(
        () => done(error),
        (closing: unknown) => done(error ?? fault(closing)),
      );
    },
  });
}
