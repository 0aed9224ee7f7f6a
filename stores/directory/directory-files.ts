import { createHash, randomBytes } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { type FileHandle, lstat, open, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import {
  expectSafeKey,
  expectSafePrefix,
  type FileKey,
  type FileStat,
  type FileStore,
  type ReadFile,
  type StatFile,
  type WriteFile,
} from '../spi/files.ts';
import type { StreamsUnderWay } from '../spi/streams.ts';
import { directoryError, isAbsence, leadsOut, missing, systemCodeOf } from './errors.ts';
import { readFrom } from './file-reading.ts';
import { folderOf, type Folders, type FoundFile, partialNameOf, syncFolder } from './folders.ts';

/** How many files are looked at side by side while listing. */
const statsAtOnce = 32;

export class DirectoryFiles implements FileStore {
  private readonly folders: Folders;
  private readonly streams: StreamsUnderWay;

  constructor(folders: Folders, streams: StreamsUnderWay) {
    this.folders = folders;
    this.streams = streams;
  }

  async write(key: FileKey, body: Readable, { signal }: WriteFile): Promise<{ readonly bytes: number }> {
    return await this.streams.take(body, signal, (pieces) =>
      this.translated(key, async () => {
        expectSafeKey(key);
        let partial: Partial | null = null;
        try {
          partial = await this.openPartial(key);
          const bytes = await fill(partial.handle, pieces);
          signal.throwIfAborted();
          await rename(partial.path, join(partial.folder, key.slice(folderOf(key).length)));
          await syncFolder(partial.folder);
          return { bytes };
        } catch (error) {
          if (partial !== null) await unlink(partial.path).catch(() => undefined);
          await this.folders.removeEmpty(key).catch(() => undefined);
          throw error;
        }
      }),
    );
  }

  async read(key: FileKey, { signal, from = 0 }: ReadFile): Promise<Readable> {
    return await this.translated(key, async () => {
      expectSafeKey(key);
      const handle = await this.openObject(key);
      const fault = (error: unknown): Error => directoryError(error, { store: this.folders.store, key });
      return this.streams.give(readFrom(handle, { from, fault }), signal);
    });
  }

  async stat(key: FileKey, options: StatFile = {}): Promise<FileStat | null> {
    return await this.translated(key, async () => {
      expectSafeKey(key);
      const folder = await this.folders.find(key);
      const stats = folder === null ? null : await statsOf(join(folder, key.slice(folderOf(key).length)));
      if (stats === null) return null;
      if (stats.isSymbolicLink()) throw leadsOut({ store: this.folders.store, key });
      if (!stats.isFile()) return null;
      return statOf(key, stats, options.sha256 === true ? await this.hash(key, options.signal) : null);
    });
  }

  async *list(prefix: string): AsyncIterable<FileStat> {
    expectSafePrefix(prefix);
    let waiting: FoundFile[] = [];
    try {
      for await (const file of this.folders.walk(prefix, 'objects')) {
        waiting.push(file);
        if (waiting.length < statsAtOnce) continue;
        yield* await this.statsOfAll(waiting);
        waiting = [];
      }
      yield* await this.statsOfAll(waiting);
    } catch (error) {
      throw directoryError(error, { store: this.folders.store, key: prefix });
    }
  }

  async remove(keys: readonly FileKey[]): Promise<void> {
    for (const key of keys) expectSafeKey(key);
    for (const key of keys) {
      await this.translated(key, async () => {
        const folder = await this.folders.find(key);
        if (folder === null) return;
        await unlinkIfFile(join(folder, key.slice(folderOf(key).length)));
        await this.folders.removeEmpty(key);
      });
    }
  }

  async sweep(prefix: string, olderThanMs: number): Promise<number> {
    expectSafePrefix(prefix);
    return await this.translated(prefix, async () => {
      const now = Date.now();
      let removed = 0;
      for await (const { folder, name } of this.folders.walk(prefix, 'partials')) {
        const path = join(this.folders.root, folder, name);
        const stats = await statsOf(path);
        if (stats === null || Math.max(0, now - stats.mtimeMs) < olderThanMs) continue;
        await unlinkIfFile(path);
        removed += 1;
        await this.folders.removeEmpty(`${folder}${name}`);
      }
      return removed;
    });
  }

  /** A folder that is empty may be removed by another before the file is in it. */
  private async openPartial(key: FileKey): Promise<Partial> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const folder = await this.folders.make(key);
        const path = join(folder, partialNameOf(key, randomBytes(8).toString('hex')));
        return { folder, path, handle: await open(path, 'wx') };
      } catch (error) {
        if (systemCodeOf(error) !== 'ENOENT' || attempt === 100) throw error;
      }
    }
  }

  private async openObject(key: FileKey): Promise<FileHandle> {
    const where = { store: this.folders.store, key };
    const folder = await this.folders.find(key);
    if (folder === null) throw missing(where);
    try {
      const path = join(folder, key.slice(folderOf(key).length));
      const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      if ((await handle.stat()).isFile()) return handle;
      await handle.close();
    } catch (error) {
      if (systemCodeOf(error) === 'ELOOP') throw leadsOut(where);
      if (!isAbsence(error)) throw error;
    }
    throw missing(where);
  }

  private async hash(key: FileKey, signal: AbortSignal = new AbortController().signal): Promise<string> {
    const hash = createHash('sha256');
    for await (const piece of (await this.read(key, { signal })) as AsyncIterable<Buffer>) hash.update(piece);
    return hash.digest('hex');
  }

  private async statsOfAll(files: readonly FoundFile[]): Promise<FileStat[]> {
    const stats = await Promise.all(
      files.map(async ({ folder, name }) => {
        const found = await statsOf(join(this.folders.root, folder, name));
        return found === null ? null : statOf(`${folder}${name}`, found, null);
      }),
    );
    return stats.filter((stat) => stat !== null);
  }

  private async translated<T>(key: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw directoryError(error, { store: this.folders.store, key });
    }
  }
}

interface Partial {
  readonly folder: string;
  readonly path: string;
  readonly handle: FileHandle;
}

/** Writes all pieces and makes them durable; closes the file in any case. */
async function fill(handle: FileHandle, pieces: AsyncIterable<Buffer>): Promise<number> {
  let bytes = 0;
  try {
    for await (const piece of pieces) {
      for (let done = 0; done < piece.length;) {
        const { bytesWritten } = await handle.write(piece, done);
        done += bytesWritten;
      }
      bytes += piece.length;
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  return bytes;
}

function statOf(key: FileKey, stats: Stats, sha256: string | null): FileStat {
  return { key, bytes: stats.size, changedAt: stats.mtime.toISOString(), sha256 };
}

async function statsOf(path: string): Promise<Stats | null> {
  try {
    return await lstat(path);
  } catch (error) {
    if (isAbsence(error)) return null;
    throw error;
  }
}

async function unlinkIfFile(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (isAbsence(error)) return;
    // Linux says EISDIR, others EPERM: a folder is no object, so there is none of that name.
    if ((await statsOf(path))?.isDirectory() !== true) throw error;
  }
}
