import { Readable } from 'node:stream';
import type { ZodType } from 'zod';
import { SynclineError } from '../../../definitions/errors.ts';
import { inGroups } from '../../../planning/in-groups.ts';
import type { FileKey, FileStat, FileStore, StatFile } from '../../spi/files.ts';
import type { EncryptionKeys } from '../../spi/settings.ts';
import { requireCapability, type Store } from '../../spi/store.ts';

/** For bookkeeping of a few requests: nobody gives it up half-way. */
export const never: AbortSignal = new AbortController().signal;

/** Bookkeeping that is read at once is never bigger; what is, was not written by us. */
const maxSmallBytes = 64 * 1024 * 1024;
/** Requests in flight for many small objects: a store of files far away answers each in some 20 ms. */
const concurrency = 16;

/** All objects of one job's backups: a file store below one path. Keys here are those below the path. */
export class Place {
  readonly store: string;
  readonly path: string;
  readonly files: FileStore;
  private readonly prefix: string;
  private readonly encryption: EncryptionKeys | null;

  constructor(store: Store, path: string) {
    this.store = store.name;
    this.path = path;
    this.files = requireCapability(store, 'files');
    this.prefix = path === '' ? '' : `${path}/`;
    this.encryption = store.encryption ?? null;
  }

  /** The key within the store, as the file store and messages have it. */
  full(key: FileKey): FileKey {
    return `${this.prefix}${key}`;
  }

  /** What a new object is sealed with; `artifact.wrongKey` when the store has no key. */
  key(): Buffer {
    if (this.encryption !== null) return this.encryption.key;
    throw new SynclineError(
      'artifact.wrongKey',
      `Store ${this.store} has no key: set \`encryption.key\`, or \`encrypt: false\`.`,
      { details: { store: this.store } },
    );
  }

  /** The newest first. */
  keys(): readonly Buffer[] {
    return this.encryption === null ? [] : [this.encryption.key, ...this.encryption.earlier];
  }

  async stat(key: FileKey, options?: StatFile): Promise<FileStat | null> {
    return await this.files.stat(this.full(key), options);
  }

  async read(key: FileKey, signal: AbortSignal): Promise<Readable> {
    return await this.files.read(this.full(key), { signal });
  }

  async write(key: FileKey, body: Readable, signal: AbortSignal = never): Promise<void> {
    await this.files.write(this.full(key), body, { signal });
  }

  /** Null when there is no such object. */
  async readSmall(key: FileKey): Promise<Buffer | null> {
    try {
      return await collect(await this.read(key, never), maxSmallBytes, this.full(key));
    } catch (error) {
      if (error instanceof SynclineError && error.code === 'files.missing') return null;
      throw error;
    }
  }

  async writeSmall(key: FileKey, content: Buffer): Promise<void> {
    const body = Readable.from(content.length === 0 ? [] : [content], { objectMode: false });
    await this.files.write(this.full(key), body, { signal: never, bytes: content.length });
  }

  /** Throws `artifact.corrupt` when it is there and not of this shape. */
  async readJson<T>(key: FileKey, shape: ZodType<T>): Promise<T | null> {
    const content = await this.readSmall(key);
    return content === null ? null : parseJson(content.toString(), { shape, name: this.full(key) });
  }

  async writeJson(key: FileKey, value: unknown): Promise<void> {
    await this.writeSmall(key, Buffer.from(`${JSON.stringify(value)}\n`));
  }

  async *list(prefix: string): AsyncGenerator<FileStat> {
    for await (const stat of this.files.list(this.full(prefix)))
      yield { ...stat, key: stat.key.slice(this.prefix.length) };
  }

  async remove(keys: readonly FileKey[]): Promise<void> {
    if (keys.length > 0) await this.files.remove(keys.map((key) => this.full(key)));
  }

  /** Everything whose key begins so. Returns how many objects went. */
  async removeBelow(prefix: string): Promise<number> {
    let count = 0;
    for await (const some of inGroups(this.list(prefix), 1_000)) {
      await this.remove(some.map((stat) => stat.key));
      count += some.length;
    }
    return count;
  }

  async sweep(prefix: string, olderThanMs: number): Promise<number> {
    return await this.files.sweep(this.full(prefix), olderThanMs);
  }
}

export interface JsonShape<T> {
  readonly shape: ZodType<T>;
  /** For messages. */
  readonly name: string;
}

/** Throws `artifact.corrupt`; zod's messages name paths and shapes, never the value that was found. */
export function parseJson<T>(text: string, { shape, name }: JsonShape<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new SynclineError('artifact.corrupt', `${name}: it is no JSON.`);
  }
  const result = shape.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const where = issue === undefined ? '' : ` (${issue.path.map(String).join('.')}: ${issue.code})`;
  throw new SynclineError('artifact.corrupt', `${name}: it is not of the form that it should have${where}.`);
}

/** The whole content of a stream that must not be longer than `most`. */
export async function collect(stream: Readable, most: number, name: string): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of stream as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > most)
      throw new SynclineError('artifact.corrupt', `${name}: it holds more than ${String(most)} bytes.`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/** All answers in the order of `items`, a few requests at a time. */
export async function mapEach<T, R>(items: readonly T[], one: (item: T) => Promise<R>): Promise<R[]> {
  const answers = new Array<R>(items.length);
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let at = next++; at < items.length; at = next++) answers[at] = await one(items[at] as T);
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, worker));
  return answers;
}
