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
} from '../../spi/files.ts';
import { SynclineError } from '../../../definitions/errors.ts';
import type { Sessions } from '../connection/sessions.ts';
import { entryOf } from './folders.ts';
import { hashObject } from './hash-object.ts';
import { listObjects, statOf } from './list-objects.ts';
import { readObject } from './read-object.ts';
import { removeObjects } from './remove-objects.ts';
import { sweepPartials } from './sweep.ts';
import { ObjectWriter } from './write-object.ts';

/** Objects as files below `root` on the server. */
export class SftpFiles implements FileStore {
  private readonly sessions: Sessions;
  private readonly root: string;
  private readonly writer: ObjectWriter;

  constructor(sessions: Sessions, root: string) {
    this.sessions = sessions;
    this.root = root;
    this.writer = new ObjectWriter(sessions, root);
  }

  async write(key: FileKey, body: Readable, options: WriteFile): Promise<{ readonly bytes: number }> {
    try {
      expectSafeKey(key);
    } catch (error) {
      body.destroy();
      throw error;
    }
    return await this.writer.write(key, body, options.signal);
  }

  async read(key: FileKey, { from = 0, signal }: ReadFile): Promise<Readable> {
    expectSafeKey(key);
    return await readObject(this.sessions, { root: this.root, key, from, signal });
  }

  async stat(key: FileKey, { sha256 = false, signal }: StatFile = {}): Promise<FileStat | null> {
    expectSafeKey(key);
    const entry = await this.sessions.use(
      `looking for ${key}`,
      (session) => entryOf(session, `${this.root}/${key}`, signal),
      signal,
    );
    if (entry?.type !== 'file') return null;
    const stat = statOf(entry, key);
    if (!sha256) return stat;
    try {
      return { ...stat, sha256: await hashObject(this.sessions, { root: this.root, key, signal }) };
    } catch (error) {
      // It went away in between.
      if (error instanceof SynclineError && error.code === 'files.missing') return null;
      throw error;
    }
  }

  async *list(prefix: string): AsyncIterable<FileStat> {
    expectSafePrefix(prefix);
    yield* listObjects(this.sessions, this.root, prefix);
  }

  async remove(keys: readonly FileKey[]): Promise<void> {
    for (const key of keys) expectSafeKey(key);
    if (keys.length === 0) return;
    await this.sessions.use('removing objects', (session) => removeObjects(session, this.root, keys));
  }

  async sweep(prefix: string, olderThanMs: number): Promise<number> {
    expectSafePrefix(prefix);
    return await this.sessions.use('sweeping partial files', (session) =>
      sweepPartials(session, { root: this.root, prefix, olderThanMs }),
    );
  }
}
