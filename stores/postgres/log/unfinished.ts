import { type FileHandle, open, statfs, unlink } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LogPosition, LogTransaction } from '../../spi/log.ts';
import type { Unfinished } from './pgoutput.ts';

/**
 * Big transactions are sent before they end (protocol 2). Until then their messages lie in files of this machine, one a
 * transaction, with no name in the file system: whatever ends the process takes them along.
 */

const blockBytes = 128 * 1024;
/** So much may wait for the disk. */
const mostPendingBytes = 4 * 1024 * 1024;
/** Before each kept message. */
export const lengthBytes = 4;

export interface FinishedTransaction {
  readonly transaction: LogTransaction;
  /** End of its commit. */
  readonly end: LogPosition;
  readonly kept: KeptMessages | null;
}

export class UnfinishedTransactions implements Unfinished {
  private readonly byXid = new Map<number, KeptMessages>();
  private readonly mostBytes: number;
  private pendingBytes = 0;
  /** One that has committed: it is to be decoded before anything else is read. */
  finished: FinishedTransaction | null = null;

  private constructor(mostBytes: number) {
    this.mostBytes = mostBytes;
  }

  /** May take half of what the disk has free now; null: there is no place for files. */
  static async open(): Promise<UnfinishedTransactions | null> {
    try {
      const { bavail, bsize } = await statfs(tmpdir());
      return new UnfinishedTransactions((bavail * bsize) / 2);
    } catch {
      return null;
    }
  }

  /** It is time to `write`. */
  get isPending(): boolean {
    return this.pendingBytes >= mostPendingBytes;
  }

  keep(xid: number, message: Buffer): void {
    this.pendingBytes += message.length;
    const known = this.byXid.get(xid);
    if (known !== undefined) {
      known.add(message);
      return;
    }
    const kept = new KeptMessages();
    kept.add(message);
    this.byXid.set(xid, kept);
  }

  abort(xid: number, subxid: number): void {
    const kept = this.byXid.get(xid);
    if (kept === undefined) return;
    if (xid !== subxid) kept.aborted.add(subxid);
    else {
      this.byXid.delete(xid);
      kept.forget();
    }
  }

  finish(transaction: LogTransaction, end: LogPosition): void {
    this.finished = { transaction, end, kept: this.byXid.get(transaction.xid) ?? null };
    this.byXid.delete(transaction.xid);
  }

  /** Writes what has come together. False: there is no room for it; then the server has to keep such transactions itself. */
  async write(): Promise<boolean> {
    this.pendingBytes = 0;
    let bytes = 0;
    for (const kept of this.byXid.values()) bytes += kept.bytes;
    if (bytes > this.mostBytes) return false;
    try {
      for (const kept of this.byXid.values()) await kept.write();
      return true;
    } catch {
      // Whatever it is that the disk has: the server can keep them as well.
      return false;
    }
  }

  async close(): Promise<void> {
    for (const kept of this.byXid.values()) await kept.close();
    this.byXid.clear();
  }
}

/** Messages of one transaction in their order, each behind its length. */
class KeptMessages {
  /** Sub-transactions that were rolled back: their messages are passed over. */
  readonly aborted = new Set<number>();
  bytes = 0;
  private block: Buffer | null = null;
  private used = 0;
  private full: Buffer[] = [];
  private file: FileHandle | null = null;
  private written = 0;
  private closing: Promise<void> | null = null;

  add(message: Buffer): void {
    const size = lengthBytes + message.length;
    this.bytes += size;
    let block = this.block;
    if (block === null || this.used + size > block.length) {
      this.finishBlock();
      block = Buffer.allocUnsafe(Math.max(blockBytes, size));
      this.block = block;
    }
    block.writeUInt32BE(message.length, this.used);
    message.copy(block, this.used + lengthBytes);
    this.used += size;
  }

  /** Full blocks go to the file; what is smaller than one never sees a disk. */
  async write(): Promise<void> {
    if (this.full.length === 0) return;
    this.file ??= await openNameless();
    while (this.full.length > 0) {
      const [block] = this.full;
      if (block !== undefined) {
        await this.file.write(block, 0, block.length, this.written);
        this.written += block.length;
      }
      this.full.shift();
    }
  }

  /** All of them, in blocks of whole messages and parts of such. */
  async *blocks(): AsyncIterable<Buffer> {
    for (let at = 0; at < this.written && this.file !== null;) {
      const block = Buffer.allocUnsafe(blockBytes);
      const { bytesRead } = await this.file.read(block, 0, Math.min(blockBytes, this.written - at), at);
      if (bytesRead === 0) throw new Error('A file of unfinished transactions is shorter than it was');
      at += bytesRead;
      yield block.subarray(0, bytesRead);
    }
    this.finishBlock();
    yield* this.full;
  }

  async close(): Promise<void> {
    const { file } = this;
    this.file = null;
    await file?.close().catch(() => undefined);
    await this.closing;
  }

  /** The same for one who cannot wait. */
  forget(): void {
    this.closing = this.close();
  }

  private finishBlock(): void {
    if (this.block !== null && this.used > 0) this.full.push(this.block.subarray(0, this.used));
    this.block = null;
    this.used = 0;
  }
}

async function openNameless(): Promise<FileHandle> {
  const path = join(tmpdir(), `syncline-log-${randomUUID()}`);
  const file = await open(path, 'wx+', 0o600);
  await unlink(path);
  return file;
}
