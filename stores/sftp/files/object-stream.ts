import { Readable } from 'node:stream';
import { failure, translateStatus } from '../connection/errors.ts';
import type { HeldSession } from '../connection/sessions.ts';
import { blockBytes, blocksAhead } from './blocks.ts';

export interface OpenObject {
  readonly held: HeldSession;
  readonly handle: Buffer;
  readonly key: string;
  /** Bytes from `from` to `end` are given. */
  readonly from: number;
  readonly end: number;
  readonly signal: AbortSignal | undefined;
}

/** Reads ahead of its reader by `blocksAhead` blocks, and no further. Gives handle and session back at its end. */
export class ObjectStream extends Readable {
  private readonly object: OpenObject;
  private readonly ahead: Promise<Buffer>[] = [];
  private next: number;
  private delivering = false;
  private readonly onAbort = (): void => void this.destroy(this.object.signal?.reason as Error);

  constructor(object: OpenObject) {
    super({ highWaterMark: blockBytes });
    this.object = object;
    this.next = object.from;
    object.signal?.addEventListener('abort', this.onAbort, { once: true });
    if (object.signal?.aborted === true) this.onAbort();
  }

  override _read(): void {
    if (!this.delivering) void this.deliver();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const { held, handle, signal } = this.object;
    signal?.removeEventListener('abort', this.onAbort);
    held.session
      .ask<unknown>((sftp, done) => sftp.close(handle, done as () => void))
      .then(held.release, held.release);
    callback(error);
  }

  private async deliver(): Promise<void> {
    this.delivering = true;
    try {
      for (;;) {
        this.readAhead();
        const block = await this.ahead.shift();
        if (this.destroyed) return;
        if (!this.push(block ?? null) || block === undefined) return;
      }
    } catch (error) {
      this.destroy(this.translate(error));
    } finally {
      this.delivering = false;
    }
  }

  private readAhead(): void {
    while (this.ahead.length < blocksAhead && this.next < this.object.end) {
      const bytes = Math.min(blockBytes, this.object.end - this.next);
      const block = this.block(this.next, bytes);
      // Whoever comes to it in its turn hears of a failure; nobody does when the stream ended before.
      block.catch(() => undefined);
      this.ahead.push(block);
      this.next += bytes;
    }
  }

  /** A server may answer with less than it was asked for. */
  private async block(position: number, bytes: number): Promise<Buffer> {
    const { held, handle, key, signal } = this.object;
    const block = Buffer.allocUnsafe(bytes);
    for (let filled = 0; filled < bytes;) {
      const at = filled;
      const got = await held.session.ask<number>(
        (sftp, done) => sftp.read(handle, block, at, bytes - at, position + at, done),
        signal === undefined ? {} : { signal },
      );
      if (got === 0) {
        throw failure('internal.unexpected', held.session.store, {
          sentence: `${key} in store ${held.session.store} became shorter while it was read.`,
        });
      }
      filled += got;
    }
    return block;
  }

  private translate(error: unknown): Error {
    const { held, key } = this.object;
    const doing = `reading ${key}`;
    return translateStatus(error, { store: held.session.store, doing }) as Error;
  }
}
