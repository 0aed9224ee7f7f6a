import { pipeline, Readable, type Transform } from 'node:stream';

/**
 * A generator of bytes as a stream, pulled one piece at a time: nothing is made that nobody asked for.
 *
 * `Readable.from` would not do: its destruction waits for the generator, and a generator that waits for a silent source
 * waits for ever. Here the source is destroyed first, which wakes the generator up.
 */
export function streamOf(pieces: AsyncGenerator<Buffer, void>, source: Readable): Readable {
  return new Readable({
    highWaterMark: 1024 * 1024,
    read() {
      void pull(pieces, this);
    },
    destroy(error, done) {
      source.destroy();
      // What it still holds is let go when it next comes to a yield; what it then says is of no interest to anybody.
      pieces.return(undefined).catch(() => undefined);
      done(error);
    },
  });
}

async function pull(pieces: AsyncGenerator<Buffer, void>, stream: Readable): Promise<void> {
  try {
    const next = await nextFilled(pieces);
    if (!stream.destroyed) stream.push(next);
  } catch (problem) {
    stream.destroy(problem instanceof Error ? problem : new Error('the stream failed', { cause: problem }));
  }
}

/** An empty piece would not make the stream ask again. */
async function nextFilled(pieces: AsyncGenerator<Buffer, void>): Promise<Buffer | null> {
  for (;;) {
    const next = await pieces.next();
    if (next.done === true) return null;
    if (next.value.length > 0) return next.value;
  }
}

/** The pieces of a stream of bytes. Ends with the stream's own error; leaving early destroys the stream. */
export async function* piecesOf(stream: Readable): AsyncGenerator<Buffer, void> {
  for await (const piece of stream as AsyncIterable<unknown>) {
    if (!Buffer.isBuffer(piece)) throw new TypeError('a stream of bytes gave something else');
    yield piece;
  }
}

/** What `transform` makes of `input`. Ends with the error of either; both are let go when the reader leaves. */
export async function* through(input: Readable, transform: Transform): AsyncGenerator<Buffer, void> {
  // What goes wrong is met by whoever reads `transform`.
  pipeline(input, transform, () => undefined);
  try {
    yield* piecesOf(transform);
  } finally {
    transform.destroy();
    input.destroy();
  }
}
