import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { SynclineError } from '../../definitions/errors.ts';
import {
  expectSafeKey,
  expectSafePrefix,
  type FileKey,
  type FileStat,
  type FileStore,
  type ReadFile,
  type StatFile,
  type WriteFile,
} from '../../stores/spi/files.ts';
import type { EncryptionKeys } from '../../stores/spi/settings.ts';
import type { Store } from '../../stores/spi/store.ts';
import { StreamsUnderWay } from '../../stores/spi/streams.ts';

interface Kept {
  readonly content: Buffer;
  readonly changedAt: string;
}

/** What outlives a process: the objects, and what its killed writes left. */
export class MemoryDisk {
  readonly objects = new Map<FileKey, Kept>();
  readonly partial = new Map<FileKey, number>();

  keys(prefix = ''): FileKey[] {
    return [...this.objects.keys()].filter((key) => key.startsWith(prefix)).sort(byBytes);
  }

  content(key: FileKey): Buffer {
    const kept = this.objects.get(key);
    if (kept === undefined) throw new Error(`no object ${key}`);
    return Buffer.from(kept.content);
  }

  put(key: FileKey, content: Buffer): void {
    this.objects.set(key, { content, changedAt: new Date().toISOString() });
  }
}

/** The process is dead: nothing that it was about to do happens. */
export class Killed extends Error {
  override readonly name = 'Killed';
}

export type FileOperation = 'write' | 'read' | 'stat' | 'list' | 'remove' | 'sweep';

export interface MemoryOptions {
  readonly encryption?: EncryptionKeys;
  /** Told of each operation before it is done; may throw `Killed`. */
  readonly before?: (operation: FileOperation, key: string) => void;
}

/** A store of files in memory, one open store a "process" over a disk that outlives it. */
export function openMemoryFiles(disk: MemoryDisk, options: MemoryOptions = {}): Store {
  const streams = new StreamsUnderWay('memory');
  return {
    kind: 'memory',
    name: 'memory',
    capabilities: { files: new MemoryFiles(disk, streams, options) },
    ...(options.encryption === undefined ? {} : { encryption: options.encryption }),
    check: () => Promise.resolve({ version: 'memory', latencyMs: 0, warnings: [] }),
    close: () => {
      streams.close();
      return Promise.resolve();
    },
  };
}

class MemoryFiles implements FileStore {
  private readonly disk: MemoryDisk;
  private readonly streams: StreamsUnderWay;
  private readonly options: MemoryOptions;

  constructor(disk: MemoryDisk, streams: StreamsUnderWay, options: MemoryOptions) {
    this.disk = disk;
    this.streams = streams;
    this.options = options;
  }

  async write(key: FileKey, body: Readable, { signal }: WriteFile): Promise<{ readonly bytes: number }> {
    return await this.streams.take(body, signal, async (pieces) => {
      expectSafeKey(key);
      this.before('write', key);
      const parts: Buffer[] = [];
      for await (const piece of pieces) parts.push(Buffer.from(piece));
      const content = Buffer.concat(parts);
      this.disk.put(key, content);
      return { bytes: content.length };
    });
  }

  async read(key: FileKey, { signal, from = 0 }: ReadFile): Promise<Readable> {
    expectSafeKey(key);
    await this.asked('read', key);
    const kept = this.disk.objects.get(key);
    if (kept === undefined) throw new SynclineError('files.missing', `There is no object ${key}.`);
    return this.streams.give(Readable.from(piecesOf(kept.content, from), { objectMode: false }), signal);
  }

  async stat(key: FileKey, { sha256 = false }: StatFile = {}): Promise<FileStat | null> {
    expectSafeKey(key);
    await this.asked('stat', key);
    const kept = this.disk.objects.get(key);
    return kept === undefined ? null : statOf(key, kept, sha256);
  }

  async *list(prefix: string): AsyncGenerator<FileStat> {
    expectSafePrefix(prefix);
    await this.asked('list', prefix);
    for (const key of this.disk.keys(prefix)) {
      const kept = this.disk.objects.get(key);
      if (kept !== undefined) yield statOf(key, kept, false);
    }
  }

  async remove(keys: readonly FileKey[]): Promise<void> {
    for (const key of keys) expectSafeKey(key);
    for (const key of keys) {
      await this.asked('remove', key);
      this.disk.objects.delete(key);
    }
  }

  async sweep(prefix: string, olderThanMs: number): Promise<number> {
    expectSafePrefix(prefix);
    await this.asked('sweep', prefix);
    const old = [...this.disk.partial].filter(
      ([key, since]) => key.startsWith(prefix) && Date.now() - since >= olderThanMs,
    );
    for (const [key] of old) this.disk.partial.delete(key);
    return old.length;
  }

  private async asked(operation: FileOperation, key: string): Promise<void> {
    // As a real store: never in the same turn.
    await Promise.resolve();
    this.before(operation, key);
  }

  private before(operation: FileOperation, key: string): void {
    this.options.before?.(operation, key);
  }
}

function* piecesOf(content: Buffer, from: number): Generator<Buffer> {
  const size = 64 * 1024;
  for (let at = from; at < content.length; at += size) yield Buffer.from(content.subarray(at, at + size));
}

function statOf(key: FileKey, { content, changedAt }: Kept, sha256: boolean): FileStat {
  const hash = sha256 ? createHash('sha256').update(content).digest('hex') : null;
  return { key, bytes: content.length, changedAt, sha256: hash };
}

function byBytes(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other));
}
