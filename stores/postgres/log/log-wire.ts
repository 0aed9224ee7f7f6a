import { once } from 'node:events';
import type { Socket } from 'node:net';
import type pg from 'pg';
import type { LogPosition } from '../../spi/log.ts';
import type { Bell } from './bell.ts';
import { Cutter } from './cutter.ts';

/**
 * A replication connection that sends its log. The driver's listener is taken off the socket, as in copy-out.ts: a message
 * of the log is never an object of the driver's. What is no CopyData goes to the driver's own parser.
 * https://www.postgresql.org/docs/current/protocol-replication.html
 */

type DataListener = (piece: Buffer) => void;

interface DriverConnection {
  readonly stream: Socket;
  query(text: string): void;
}

const copyData = 0x64;
const copyBothResponse = 0x57;
const copyDone = 0x63;
const headerBytes = 5;
const terminate = Buffer.from([0x58, 0, 0, 0, 4]);
const longestGoodbyeMs = 2_000;
/** So much may wait to be decoded; then the socket is left alone, and the server waits. */
const mostWaitingBytes = 1024 * 1024;
const year2000Ms = Date.UTC(2000, 0, 1);

export class LogWire {
  private readonly command: string;
  private readonly bell: Bell;
  private readonly cutter = new Cutter(headerBytes, (buffer, at) => 1 + buffer.readUInt32BE(at + 1));
  private waiting: Buffer[] = [];
  private waitingBytes = 0;
  private paused = false;
  private socket: Socket | null = null;
  private driverListeners: DataListener[] = [];
  private isOpen = false;
  /** What ended the log: the driver's error. */
  failure: unknown = null;
  /** When the server was heard last; while we do not listen, that is now. */
  private heardAtMs = Date.now();

  constructor(command: string, bell: Bell) {
    this.command = command;
    this.bell = bell;
  }

  start(client: pg.Client): this {
    client.query(this as unknown as pg.Submittable);
    client.once('end', () => this.fail(new Error('Connection terminated')));
    return this;
  }

  /** The payload of the message that `next` found. */
  get buffer(): Buffer {
    return this.cutter.buffer;
  }

  get begin(): number {
    return this.cutter.start + headerBytes;
  }

  get end(): number {
    return this.cutter.end;
  }

  get hasBegun(): boolean {
    return this.isOpen;
  }

  get silentMs(): number {
    return this.paused ? 0 : Date.now() - this.heardAtMs;
  }

  /** Goes to the next message of the log. False: nothing more at hand. */
  next(): boolean {
    for (;;) {
      if (this.cutter.next()) {
        if (this.buffer[this.cutter.start] === copyData) return true;
        this.other(this.buffer.subarray(this.cutter.start, this.cutter.end));
        continue;
      }
      const piece = this.waiting.shift();
      if (piece === undefined) return false;
      this.waitingBytes -= piece.length;
      if (this.paused && this.waitingBytes < mostWaitingBytes / 2) this.resume();
      this.cutter.push(piece);
    }
  }

  /** Tells the server how far the log is not needed any more. */
  sendStatus(confirmed: LogPosition, wantsAnswer: boolean): void {
    if (!this.isOpen || this.socket?.writable !== true) return;
    const message = Buffer.alloc(headerBytes + 34);
    message[0] = copyData;
    message.writeUInt32BE(38, 1);
    message[5] = 'r'.charCodeAt(0);
    for (const at of [6, 14, 22]) message.write(confirmed, at, 'hex');
    message.writeBigInt64BE(BigInt(Date.now() - year2000Ms) * 1000n, 30);
    message[38] = wantsAnswer ? 1 : 0;
    this.socket.write(message);
  }

  /** Says goodbye, so that the slot is free when it returns, and what was confirmed last has arrived. */
  async close(): Promise<void> {
    const { socket } = this;
    this.isOpen = false;
    if (socket === null || socket.destroyed) return;
    socket.removeListener('data', this.onData);
    socket.resume();
    const closed = once(socket, 'close').catch(() => undefined);
    socket.end(terminate);
    const late = setTimeout(() => socket.destroy(), longestGoodbyeMs);
    await closed;
    clearTimeout(late);
  }

  // --- what the driver calls -------------------------------------------------------------------------

  submit(connection: DriverConnection): void {
    const { stream } = connection;
    this.socket = stream;
    this.driverListeners = stream.listeners('data') as DataListener[];
    for (const listener of this.driverListeners) stream.removeListener('data', listener);
    stream.on('data', this.onData);
    connection.query(this.command);
  }

  handleError(error: unknown): void {
    this.fail(error);
  }

  handleCommandComplete(): void {
    this.fail(new Error('Connection closed by the server: it shuts down'));
  }

  handleReadyForQuery(): void {
    this.fail(new Error('Connection closed by the server: the log has ended'));
  }

  // ---------------------------------------------------------------------------------------------------

  private readonly onData: DataListener = (piece) => {
    this.heardAtMs = Date.now();
    this.waiting.push(piece);
    this.waitingBytes += piece.length;
    if (!this.paused && this.waitingBytes > mostWaitingBytes) {
      this.paused = true;
      this.socket?.pause();
    }
    this.bell.ring();
  };

  private resume(): void {
    this.paused = false;
    this.heardAtMs = Date.now();
    this.socket?.resume();
  }

  private other(message: Buffer): void {
    const type = message[0];
    if (type === copyBothResponse) this.isOpen = true;
    else if (type !== copyDone) for (const listener of this.driverListeners) listener(message);
  }

  private fail(error: unknown): void {
    this.failure ??= error;
    this.isOpen = false;
    this.bell.ring();
  }
}
