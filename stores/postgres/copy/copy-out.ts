import { Readable } from 'node:stream';
import type { Socket } from 'node:net';
import type pg from 'pg';
import { FrameWalker, Unframer } from './frames.ts';

/**
 * `COPY … TO STDOUT` as a stream of bytes, without the driver parsing a message per row. Other statements may stand
 * before and after it in the same message; of theirs, the first row is kept.
 *
 * While rows flow, the driver's listener is taken off the socket and ours walks the frames. Everything that is not
 * CopyData (notices, errors, the end) goes to the driver's own parser, so its state stays right.
 */

type DataListener = (piece: Buffer) => void;

interface DriverConnection {
  readonly stream: Socket;
  query(text: string): void;
}

const copyOutResponse = 0x48;
const copyDone = 0x63;
const errorResponse = 0x45;

export interface CopyOutOptions {
  readonly framed: boolean;
  /** Turns what the driver reports into the error that stream and `finished` end with: the reader's, not the writer's. */
  readonly explain?: (error: unknown) => Error;
}

function asError(problem: unknown): Error {
  return problem instanceof Error ? problem : new Error('COPY failed');
}

export class CopyOut extends Readable {
  private readonly text: string;
  private readonly explain: (error: unknown) => Error;
  private readonly unframer: Unframer | null;
  private readonly walker: FrameWalker;
  private connection: DriverConnection | null = null;
  private driverListeners: DataListener[] = [];
  private taken = false;
  private started = false;
  private settle: { resolve(rows: number): void; reject(error: unknown): void } | null = null;
  private settleFirst: {
    resolve(row: readonly (string | null)[]): void;
    reject(error: unknown): void;
  } | null = null;
  private failure: unknown = null;
  private rows = 0;
  /** Rows by the server's own tag, when the server has confirmed the end; rejects with the server's error. */
  readonly finished: Promise<number>;
  /** First row of the statements before COPY, as text; never settles well when they have none. */
  readonly firstRow: Promise<readonly (string | null)[]>;

  constructor(text: string, options: CopyOutOptions) {
    super({ highWaterMark: 256 * 1024 });
    this.text = text;
    this.explain = options.explain ?? asError;
    this.unframer = options.framed ? null : new Unframer();
    this.finished = new Promise((resolve, reject) => {
      this.settle = { resolve, reject };
    });
    this.firstRow = new Promise((resolve, reject) => {
      this.settleFirst = { resolve, reject };
    });
    // Whoever only reads the stream learns of the error there.
    this.finished.catch(() => undefined);
    this.firstRow.catch(() => undefined);
    // It may fail before anybody reads; the reader then meets the error, and the process must not end by it.
    this.on('error', () => undefined);
    this.walker = new FrameWalker({
      data: (run) => this.passOn(run),
      other: (type, message) => this.onMessage(type, message),
    });
  }

  /** Payload bytes so far, without frames. */
  get payloadBytes(): number {
    return this.walker.payloadBytes;
  }

  /** Sends the statement; the session is busy until `finished` settles. */
  start(client: pg.Client): this {
    client.query(this as unknown as pg.Submittable);
    return this;
  }

  override _read(): void {
    if (this.taken) this.connection?.stream.resume();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    // The rest of the rows is of no use to anybody: the owner of the session destroys it.
    if (this.taken) this.connection?.stream.resume();
    callback(error);
  }

  // --- what the driver calls -------------------------------------------------------------------------

  submit(connection: DriverConnection): void {
    this.connection = connection;
    this.started = true;
    this.takeSocket(connection.stream);
    connection.query(this.text);
  }

  handleCommandComplete(message: { readonly text: string }): void {
    const tag = /^COPY (\d+)/.exec(message.text);
    if (tag !== null) this.rows = Number(tag[1]);
  }

  handleReadyForQuery(): void {
    this.end(null);
  }

  handleError(error: unknown): void {
    this.end(error);
  }

  handleRowDescription(): void {
    // Whoever asks for rows before COPY knows their columns.
  }

  handleDataRow({ fields }: { readonly fields: readonly (string | null)[] }): void {
    this.settleFirst?.resolve(fields);
  }

  handleCopyData(): void {
    this.failure = new Error('COPY data reached the driver');
  }

  // ---------------------------------------------------------------------------------------------------

  private end(error: unknown): void {
    if (this.taken && this.connection !== null) this.giveSocketBack(this.connection.stream);
    const settle = this.settle;
    this.settle = null;
    const problem = error ?? this.failure;
    if (problem !== null && problem !== undefined) {
      const explained = this.explain(problem);
      this.settleFirst?.reject(explained);
      settle?.reject(explained);
      this.destroy(explained);
      return;
    }
    settle?.resolve(this.rows);
    this.settleFirst?.reject(new Error('The statements before COPY gave no row'));
    if (!this.readableEnded && !this.destroyed) this.push(null);
  }

  private passOn(run: Buffer): void {
    if (this.destroyed) return;
    const piece = this.unframer === null ? run : this.unframer.payloadOf(run);
    if (piece.length > 0 && !this.push(piece)) this.connection?.stream.pause();
  }

  private onMessage(type: number, message: Buffer): 'go-on' | 'leave' {
    if (type === copyOutResponse) return 'go-on';
    const stream = this.connection?.stream;
    if (type === copyDone || type === errorResponse) {
      if (stream !== undefined) this.giveSocketBack(stream);
      if (type === errorResponse) this.toDriver(message);
      return 'leave';
    }
    this.toDriver(message);
    return 'go-on';
  }

  private readonly onData: DataListener = (piece) => {
    const rest = this.walker.feed(piece);
    if (rest !== null && rest.length > 0) this.toDriver(rest);
  };

  private toDriver(bytes: Buffer): void {
    for (const listener of this.driverListeners) listener(bytes);
  }

  private takeSocket(stream: Socket): void {
    this.driverListeners = stream.listeners('data') as DataListener[];
    for (const listener of this.driverListeners) stream.removeListener('data', listener);
    stream.on('data', this.onData);
    this.taken = true;
  }

  private giveSocketBack(stream: Socket): void {
    if (!this.taken) return;
    this.taken = false;
    stream.removeListener('data', this.onData);
    for (const listener of this.driverListeners) stream.on('data', listener);
    stream.resume();
  }

  get isStarted(): boolean {
    return this.started;
  }
}
