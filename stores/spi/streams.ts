import { setMaxListeners } from 'node:events';
import type { Readable } from 'node:stream';
import { SynclineError } from '../../definitions/errors.ts';

/**
 * The streams that a file store has under way. A body that fails makes its write fail with the body's own error, an
 * abort with the abort's reason, and the end of the store ends all of them: each error is told apart here, once.
 */
export class StreamsUnderWay {
  private readonly store: string;
  private readonly streams = new Set<Readable>();
  private closed = false;

  constructor(store: string) {
    this.store = store;
  }

  /**
   * Runs `work` over the pieces of a body and destroys the body at the end. `work` cleans up after itself when the
   * pieces end with an error; what it then throws does not matter.
   */
  async take<T>(
    body: Readable,
    signal: AbortSignal,
    work: (pieces: AsyncIterable<Buffer>) => Promise<T>,
  ): Promise<T> {
    let fault: { readonly error: unknown } | null = null;
    // From now on: a body may fail before anybody iterates over it.
    const onError = (error: Error): void => {
      fault ??= { error };
    };
    const onAbort = (): void => {
      body.destroy(reasonOf(signal));
    };
    const pieces = async function* (): AsyncGenerator<Buffer> {
      try {
        // Leaving the loop early must not look like a failure of the body; it is destroyed below in any case.
        for await (const piece of body.iterator({ destroyOnReturn: false })) yield piece as Buffer;
      } catch (error) {
        fault ??= { error };
        throw error;
      }
    };
    body.on('error', onError);
    listenTo(signal, onAbort);
    this.streams.add(body);
    try {
      if (signal.aborted) throw reasonOf(signal);
      if (this.closed) throw this.lost();
      return await work(pieces());
    } catch (error) {
      const known = faultIn(signal, fault);
      throw known === null ? error : known.error;
    } finally {
      this.streams.delete(body);
      signal.removeEventListener('abort', onAbort);
      body.destroy();
    }
  }

  /** Hands a stream out: it fails with the reason when the signal aborts, and when the store is closed. */
  give(stream: Readable, signal: AbortSignal): Readable {
    const onAbort = (): void => {
      stream.destroy(reasonOf(signal));
    };
    this.streams.add(stream);
    listenTo(signal, onAbort);
    stream.once('close', () => {
      this.streams.delete(stream);
      signal.removeEventListener('abort', onAbort);
    });
    if (signal.aborted) onAbort();
    else if (this.closed) stream.destroy(this.lost());
    return stream;
  }

  /** Ends what is under way with `store.connectionLost`. */
  close(): void {
    this.closed = true;
    for (const stream of this.streams) stream.destroy(this.lost());
  }

  private lost(): SynclineError {
    return new SynclineError('store.connectionLost', `Store ${this.store} was closed.`, {
      details: { store: this.store },
    });
  }
}

function listenTo(signal: AbortSignal, onAbort: () => void): void {
  // One signal may stand over many streams at once; Node takes more than ten for a leak and says so.
  setMaxListeners(0, signal);
  signal.addEventListener('abort', onAbort, { once: true });
}

function faultIn(
  signal: AbortSignal,
  fault: { readonly error: unknown } | null,
): { readonly error: unknown } | null {
  return signal.aborted ? { error: reasonOf(signal) } : fault;
}

function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error('The work was given up.');
}
