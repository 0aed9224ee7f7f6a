import type { Socket } from 'node:net';
import type pg from 'pg';
import type { RowStream } from '../../spi/rows.ts';
import { copyDataHeader } from './frames.ts';

/**
 * `COPY … FROM STDIN` fed from a row stream. Framed bytes go to the socket as they came; bare payload gets one frame
 * a piece. The socket's own buffer is the only one: when it is full, the reader waits.
 * Other statements may stand before it in the same message.
 */

/** All rows of a small unit, in memory. */
export interface ReadyRows extends Pick<RowStream, 'format' | 'framed'> {
  readonly pieces: readonly Buffer[];
}

interface DriverConnection {
  readonly stream: Socket;
  query(text: string): void;
  endCopyFrom(): void;
  sendCopyFail(reason: string): void;
}

export class CopyIn {
  private readonly text: string;
  private connection: DriverConnection | null = null;
  private rows = 0;
  private ahead: ReadyRows | null = null;
  private failed: { readonly error: unknown } | null = null;
  private answered = false;
  private wake: (() => void) | null = null;
  private readonly ready = new Settled<DriverConnection>();
  private readonly done = new Settled<number>();

  constructor(text: string) {
    this.text = text;
  }

  /**
   * Sends the statement and all rows. Resolves with the rows the server took; rejects with the first error. After an
   * error of the server the session can be used again; after one of the reader only if the stream was not framed.
   */
  async run(client: pg.Client, rows: RowStream): Promise<number> {
    client.query(this as unknown as pg.Submittable);
    let connection: DriverConnection;
    try {
      connection = await this.ready.promise;
    } catch (error) {
      rows.bytes.destroy();
      throw error;
    }
    // The reader may have nothing to send for long, and an error of the server must not wait for that.
    void this.done.promise.catch(() => rows.bytes.destroy());
    try {
      await this.pump(connection.stream, rows);
    } catch (error) {
      if (this.failed !== null) throw this.failed.error;
      // A framed stream may have ended inside a frame, and the server would take CopyFail for the rest of a row and
      // wait for ever. The transaction is lost anyway, so the session goes with it.
      if (rows.framed) connection.stream.destroy();
      else connection.sendCopyFail('the reader failed');
      const outcome: unknown = await this.done.promise.catch((failure: unknown) => failure);
      throw rows.bytes.errored === null ? outcome : error;
    }
    if (this.failed === null) connection.endCopyFrom();
    return await this.done.promise;
  }

  /**
   * Statement, rows and end in one write, without waiting for the server to ask for them: after an error it passes
   * over what follows, by the protocol. The session can be used again after any error; the rows too.
   */
  async runAtOnce(client: pg.Client, rows: ReadyRows): Promise<number> {
    this.ahead = rows;
    client.query(this as unknown as pg.Submittable);
    return await this.done.promise;
  }

  private async pump(socket: Socket, rows: RowStream): Promise<void> {
    const onChange = (): void => this.wake?.();
    socket.on('drain', onChange).on('close', onChange);
    try {
      for await (const piece of rows.bytes as AsyncIterable<Buffer>) {
        if (this.failed !== null) throw this.failed.error;
        if (piece.length === 0) continue;
        socket.cork();
        const roomLeft = send(socket, piece, rows.framed);
        socket.uncork();
        if (!roomLeft) await this.drained(socket);
      }
    } finally {
      socket.off('drain', onChange).off('close', onChange);
    }
    if (this.failed !== null) throw this.failed.error;
  }

  /**
   * Nearly every piece waits here, so it costs a promise and no more: an AbortController and a race for each were a fifth of
   * what a copy costs. An error of the server ends the wait too: it may never read the rest.
   */
  private async drained(socket: Socket): Promise<void> {
    if (!this.answered && !socket.destroyed) await new Promise<void>((resolve) => (this.wake = resolve));
    this.wake = null;
    if (socket.destroyed) throw new Error('Connection terminated while rows were being sent');
  }

  // --- what the driver calls -------------------------------------------------------------------------

  submit(connection: DriverConnection): void {
    this.connection = connection;
    const { stream } = connection;
    stream.cork();
    connection.query(this.text);
    if (this.ahead !== null) {
      for (const piece of this.ahead.pieces) if (piece.length > 0) send(stream, piece, this.ahead.framed);
      connection.endCopyFrom();
    }
    stream.uncork();
  }

  handleCopyInResponse(connection: DriverConnection): void {
    this.ready.resolve(connection);
  }

  handleCommandComplete(message: { readonly text: string }): void {
    const tag = /^COPY (\d+)/.exec(message.text);
    if (tag !== null) this.rows = Number(tag[1]);
  }

  handleReadyForQuery(): void {
    this.done.resolve(this.rows);
    this.answer();
  }

  handleError(error: unknown): void {
    this.failed = { error };
    this.ready.reject(error);
    this.done.reject(error);
    this.answer();
  }

  private answer(): void {
    this.answered = true;
    this.wake?.();
  }

  handleRowDescription(): void {
    this.handleError(new Error('COPY answered with rows'));
  }

  handleDataRow(): void {
    this.handleError(new Error('COPY answered with rows'));
  }

  handleCopyData(): void {
    this.handleError(new Error('COPY answered with data'));
  }

  get isStarted(): boolean {
    return this.connection !== null;
  }
}

/** Answers whether there is room for more. */
function send(socket: Socket, piece: Buffer, framed: boolean): boolean {
  if (!framed) socket.write(copyDataHeader(piece.length));
  return socket.write(piece);
}

/** A promise with its handles; a rejection nobody awaits is not an unhandled one, since `run` always looks. */
class Settled<T> {
  readonly promise: Promise<T>;
  resolve: (value: T) => void = () => undefined;
  reject: (error: unknown) => void = () => undefined;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.promise.catch(() => undefined);
  }
}
