import { setMaxListeners } from 'node:events';
import type { ClientChannel, SFTPWrapper } from 'ssh2';
import type { SynclineError } from '../../../definitions/errors.ts';
import type { Connected } from './connect.ts';
import { failure, ServerStatus, status } from './errors.ts';

export type Done<T> = (error: Error | null | undefined, result: T) => void;

export interface AskOptions<T> {
  readonly signal?: AbortSignal;
  /** What to do with an answer that came after the signal: give back what the server opened. */
  readonly late?: (result: T) => void;
}

/** One logged-in connection. Any number of callers use it at once: requests have numbers, answers find their way. */
export class Session {
  readonly store: string;
  readonly software: string;
  readonly hostKey: Buffer;
  private readonly connected: Connected;
  private readonly loss = new AbortController();
  private closing = false;

  constructor(store: string, connected: Connected) {
    this.store = store;
    this.connected = connected;
    this.software = connected.software;
    this.hostKey = connected.hostKey;
    // One for each request under way.
    setMaxListeners(0, this.lost);
    const lost = (): void => this.lose();
    connected.client.on('close', lost).on('end', lost).on('error', lost);
    connected.sftp.on('close', lost).on('end', lost).on('error', lost);
  }

  /** Aborted, with the error to fail with, once the connection is gone. */
  get lost(): AbortSignal {
    return this.loss.signal;
  }

  /**
   * Sends one request and gives its answer. Throws `ServerStatus`, `store.connectionLost`, or the reason of the signal.
   * ssh2 alone would leave a request that is sent after the end without an answer for ever.
   */
  async ask<T>(send: (sftp: SFTPWrapper, done: Done<T>) => void, options: AskOptions<T> = {}): Promise<T> {
    const { signal, late } = options;
    this.lost.throwIfAborted();
    signal?.throwIfAborted();
    return await new Promise<T>((resolve, reject) => {
      let settled = false;
      const settle = (finish: () => void): void => {
        settled = true;
        this.lost.removeEventListener('abort', onLost);
        signal?.removeEventListener('abort', onAbort);
        finish();
      };
      const onLost = (): void => settle(() => reject(this.lost.reason as Error));
      const onAbort = (): void => settle(() => reject(signal?.reason as Error));
      this.lost.addEventListener('abort', onLost, { once: true });
      signal?.addEventListener('abort', onAbort, { once: true });
      const done: Done<T> = (error, result) => {
        const failed = error !== null && error !== undefined;
        if (settled) {
          if (!failed) late?.(result);
        } else if (failed) settle(() => reject(this.answerOf(error)));
        else settle(() => resolve(result));
      };
      try {
        send(this.connected.sftp, done);
      } catch (error) {
        settle(() => reject(new ServerStatus(status.unsupported, error)));
      }
    });
  }

  /** Runs a command in the user's shell; null where the server does not allow it. At most 64 KiB of output. */
  async run(command: string, signal?: AbortSignal): Promise<{ code: number | null; output: string } | null> {
    this.lost.throwIfAborted();
    signal?.throwIfAborted();
    let channel: ClientChannel | null = null;
    const stops = signal === undefined ? [this.lost] : [signal, this.lost];
    return await new Promise((resolve, reject) => {
      const onStop = (): void => {
        channel?.close();
        reject(stops.find(({ aborted }) => aborted)?.reason as Error);
      };
      for (const stop of stops) stop.addEventListener('abort', onStop, { once: true });
      const finish = (result: { code: number | null; output: string } | null): void => {
        for (const stop of stops) stop.removeEventListener('abort', onStop);
        resolve(result);
      };
      this.connected.client.exec(command, (error, opened) => {
        if (error !== undefined) {
          finish(null);
          return;
        }
        channel = opened;
        if (stops.some(({ aborted }) => aborted)) onStop();
        let output = '';
        let code: number | null = null;
        opened.on('data', (data: Buffer) => {
          if (output.length < 65_536) output += data.toString('latin1');
        });
        opened.stderr.resume();
        opened.on('exit', (exitCode: number | null) => (code = exitCode));
        opened.on('close', () => finish({ code, output }));
        opened.on('error', () => undefined);
        // A server that allows only sftp starts that instead, and it must see that nobody speaks to it.
        opened.end();
      });
    });
  }

  end(): void {
    this.closing = true;
    this.lose();
  }

  private lose(): void {
    if (this.lost.aborted) return;
    const how = this.closing ? 'was closed' : 'was lost';
    const sentence = `The connection with store ${this.store} ${how}.`;
    this.loss.abort(failure('store.connectionLost', this.store, { sentence }));
    this.connected.client.end();
    this.connected.client.destroy();
  }

  private answerOf(error: Error): ServerStatus | SynclineError {
    const code = 'code' in error ? error.code : undefined;
    if (typeof code === 'number' && code !== 6 && code !== 7) return new ServerStatus(code, error);
    this.lose();
    return this.lost.reason as SynclineError;
  }
}
