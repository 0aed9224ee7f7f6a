import { type Readable, Transform } from 'node:stream';
import { answerMs } from './bucket.ts';

export interface ObjectReading {
  /** Bytes that must come; null when the server did not say. */
  readonly expected: number | null;
  /** Makes our error of what the connection said; null: it ended or fell silent. */
  readonly fault: (error: Error | null) => Error;
}

/**
 * The body of an answer as a stream that ends only when all bytes have come. It watches for silence itself, and only
 * while somebody wants bytes: a consumer may rest for as long as its own work takes.
 */
export function readBody(body: Readable, { expected, fault }: ObjectReading): Readable {
  let came = 0;
  let cameBefore = -1;
  const watch = setInterval(() => {
    const wanted = out.readableLength < out.readableHighWaterMark && !out.writableEnded;
    if (wanted && came === cameBefore) out.destroy(fault(null));
    cameBefore = came;
  }, answerMs);
  watch.unref();
  const out = new Transform({
    transform(piece: Buffer, _encoding, done) {
      came += piece.length;
      done(null, piece);
    },
    flush(done) {
      done(expected === null || came === expected ? null : fault(null));
    },
    destroy(error, done) {
      clearInterval(watch);
      body.destroy();
      done(error);
    },
  });
  body.on('error', (error) => out.destroy(fault(error)));
  body.on('close', () => {
    if (!body.readableEnded) out.destroy(fault(null));
  });
  return body.pipe(out);
}
