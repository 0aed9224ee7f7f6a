import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SynclineError } from '../../definitions/errors.ts';
import type { FileKey, FileStat, FileStore } from '../../stores/spi/files.ts';
import { requireCapability, type Store } from '../../stores/spi/store.ts';
import { contentOf, endless, hashOf, inPieces, liveBytes, startsThenFails } from './streams.ts';

/** An open file store whose root is empty, and a look behind it by means of its own. */
export interface FilesPlace {
  readonly store: Store;
  /** Leaves behind what a process that was killed in the middle of writing `key` would leave. */
  abandon(key: FileKey): Promise<void>;
  /** Partial files, open uploads and empty folders (where there are folders) below the root, in words. */
  leftovers(): Promise<readonly string[]>;
  dispose(): Promise<void>;
}

export interface DescribeFiles {
  /** The kind of store. */
  readonly name: string;
  readonly open: () => Promise<FilesPlace>;
}

const signal = new AbortController().signal;
const mega = 1024 * 1024;
const unsafe = [
  '../x',
  '/x',
  'a//b',
  '.hidden',
  'a/.hidden',
  'a/./b',
  'a/../b',
  'a/',
  'a b',
  'a\nb',
  "a'b",
  '',
];

/** What each store that keeps objects must do. Written once; a store calls it with a root of its own. */
export function describeFiles({ name, open }: DescribeFiles): void {
  describe(`${name} keeps the contract of a file store`, () => {
    let place: FilesPlace;
    let files: FileStore;
    let roots = 0;

    beforeAll(async () => {
      place = await open();
      files = requireCapability(place.store, 'files');
    });
    afterAll(() => place.dispose());

    /** Each test has its own part of the store. */
    const fresh = (): string => {
      roots += 1;
      return `t${String(roots)}/`;
    };
    const put = async (key: FileKey, content: Buffer): Promise<void> => {
      await files.write(key, inPieces(content), { signal, bytes: content.length });
    };
    const get = async (key: FileKey, from = 0): Promise<Buffer> =>
      await contentOf(await files.read(key, { signal, from }));
    const listed = async (prefix: string): Promise<FileStat[]> => {
      const stats: FileStat[] = [];
      for await (const stat of files.list(prefix)) stats.push(stat);
      return stats;
    };
    const names = async (prefix: string): Promise<string[]> => (await listed(prefix)).map(({ key }) => key);

    it.each([
      ['an empty object', 0],
      ['a small object', 11],
      ['an object of 30 MB', 30 * 1000 * 1000],
    ])('%s comes back as it was written, whether or not its size was told', async (_what, bytes) => {
      const content = randomBytesLike(bytes);
      const [told, untold] = [`${fresh()}told`, `${fresh()}a/b/untold`];
      expect(await files.write(told, inPieces(content), { signal, bytes })).toEqual({ bytes });
      expect(await files.write(untold, inPieces(content), { signal })).toEqual({ bytes });
      for (const key of [told, untold]) {
        expect(hashOf(await get(key))).toBe(hashOf(content));
        const stat = await files.stat(key, { sha256: true, signal });
        expect(stat).toMatchObject({ key, bytes, sha256: hashOf(content) });
        expect(await files.stat(key)).toMatchObject({ key, bytes, sha256: null });
      }
      expect(await place.leftovers()).toEqual([]);
    });

    it('tells when an object was changed by a time that can be read, or not at all', async () => {
      const key = `${fresh()}dated`;
      await put(key, Buffer.from('x'));
      for (const stat of [await files.stat(key), (await listed(key))[0]]) {
        const at = stat?.changedAt ?? null;
        expect(at === null || new Date(at).toISOString() === at).toBe(true);
      }
    });

    it('reads from any byte to the end', async () => {
      const content = randomBytesLike(3 * mega);
      const key = `${fresh()}offset`;
      await put(key, content);
      for (const from of [0, 1, mega + 7, content.length - 1]) {
        expect(hashOf(await get(key, from))).toBe(hashOf(content.subarray(from)));
      }
      expect(await get(key, content.length)).toHaveLength(0);
    });

    it('shows a concurrent reader the old object or the new one, never a mixture', async () => {
      const versions = [1, 2, 3, 4, 5, 6].map((version) => Buffer.alloc(2 * mega, version));
      const hashes = versions.map(hashOf);
      const key = `${fresh()}replaced`;
      await put(key, versions[0] ?? Buffer.alloc(0));
      let writing = true;
      const writer = (async () => {
        for (const version of versions) await put(key, version);
      })().finally(() => (writing = false));
      do {
        expect(hashes).toContain(hashOf(await get(key)));
      } while (writing);
      await writer;
      expect(hashOf(await get(key))).toBe(hashes.at(-1));
    });

    it('keeps one whole object when several write the same name at once', async () => {
      const contents = [Buffer.alloc(20 * mega, 1), Buffer.alloc(12 * mega, 2), Buffer.alloc(100, 3)];
      const key = `${fresh()}contested`;
      await Promise.all(contents.map((content) => put(key, content)));
      expect(contents.map(hashOf)).toContain(hashOf(await get(key)));
      expect(await names(key)).toEqual([key]);
      expect(await place.leftovers()).toEqual([]);
    });

    it.each([
      ['before the first byte', 0],
      ['after a few bytes', 1000],
      ['after 20 MB', 20 * mega],
    ])('a source that fails %s fails the write with its error and changes nothing', async (_when, bytes) => {
      const failure = new Error('the source failed');
      const [fresh1, kept] = [`${fresh()}a/never`, `${fresh()}kept`];
      await put(kept, Buffer.from('the old object'));
      for (const key of [fresh1, kept]) {
        const body = startsThenFails(bytes, failure);
        await expect(files.write(key, body, { signal })).rejects.toBe(failure);
        expect(body.destroyed).toBe(true);
      }
      expect(await files.stat(fresh1)).toBeNull();
      expect(await names(fresh1)).toEqual([]);
      expect((await get(kept)).toString()).toBe('the old object');
      expect(await place.leftovers()).toEqual([]);
    });

    it('an aborted write ends with the reason of the abort and changes nothing', async () => {
      const [fresh1, kept] = [`${fresh()}a/never`, `${fresh()}kept`];
      await put(kept, Buffer.from('the old object'));
      for (const [key, bytes] of [
        [fresh1, 20 * mega],
        [kept, 20 * mega],
        [kept, 0],
      ] as const) {
        const abort = new AbortController();
        const reason = new Error('given up');
        const body = endless(bytes, () => abort.abort(reason));
        await expect(files.write(key, body, { signal: abort.signal })).rejects.toBe(reason);
        expect(body.destroyed).toBe(true);
      }
      expect(await files.stat(fresh1)).toBeNull();
      expect((await get(kept)).toString()).toBe('the old object');
      expect(await place.leftovers()).toEqual([]);
    });

    it('an aborted read fails with the reason of the abort', async () => {
      const key = `${fresh()}long`;
      await put(key, Buffer.alloc(30 * mega, 1));
      const abort = new AbortController();
      const reason = new Error('given up');
      const body = await files.read(key, { signal: abort.signal });
      const reading = (async () => {
        for await (const piece of body) if (piece !== null) abort.abort(reason);
      })();
      await expect(reading).rejects.toSatisfy((error) => error === reason || causeOf(error) === reason);
      expect(body.destroyed).toBe(true);
    });

    it('a reader that leaves early holds nothing: the object can be replaced, removed and the store goes on', async () => {
      const key = `${fresh()}left`;
      await put(key, Buffer.alloc(12 * mega, 1));
      for (let round = 0; round < 20; round += 1) {
        const body = await files.read(key, { signal });
        for await (const piece of body) if (piece !== null) break;
      }
      await files.remove([key]);
      expect(await files.stat(key)).toBeNull();
    });

    it('lists whole names in ascending order of their bytes, by a prefix that need not be a folder', async () => {
      const root = fresh();
      const keys = [
        ...[
          'a+1',
          'a-1/x',
          'a-2',
          'a.b/c',
          'a/+',
          'a/-/z',
          'a/b',
          'a/b-c',
          'a/b.d/e',
          'a/bc/d',
          'a0',
          'a=',
          'a@b',
        ],
        ...['aB', 'a_', 'aa/bb/cc/dd/ee', 'ab', 'b', 'c/d'],
      ];
      const byBytes = keys
        .map((key) => root + key)
        .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      for (const key of [...byBytes].reverse()) await put(key, Buffer.from(key));
      for (const prefix of [
        '',
        'a',
        'a-',
        'a/',
        'a/b',
        'a/b-',
        'a/b.d/',
        'aa/bb/c',
        'aa/bb/cc/dd/ee',
        'b',
        'b/',
        'q',
      ]) {
        expect(await names(root + prefix)).toEqual(byBytes.filter((key) => key.startsWith(root + prefix)));
      }
      const stats = await listed(root);
      expect(stats.map(({ bytes, sha256 }) => ({ bytes, sha256 }))).toEqual(
        byBytes.map((key) => ({ bytes: key.length, sha256: null })),
      );
    });

    it('lists a store by the empty prefix, in order', async () => {
      const key = `${fresh()}somewhere/deep`;
      await put(key, Buffer.from('x'));
      const all = await names('');
      expect(all).toContain(key);
      expect(all).toEqual([...all].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
    });

    it('lists 1,000 small objects once each, and removes them with their folders', async () => {
      const root = fresh();
      const keys = Array.from(
        { length: 1000 },
        (_, index) => `${root}f${String(index % 7)}/${String(index).padStart(4, '0')}`,
      );
      const waiting = [...keys];
      const writer = async (): Promise<void> => {
        for (let key = waiting.pop(); key !== undefined; key = waiting.pop())
          await put(key, Buffer.from(key));
      };
      await Promise.all(Array.from({ length: 16 }, writer));
      expect(await names(root)).toEqual([...keys].sort());
      await files.remove([...keys, `${root}none`]);
      expect(await names(root)).toEqual([]);
      expect(await place.leftovers()).toEqual([]);
    });

    it('removes what is there, takes what is not there as done, and leaves no empty folder', async () => {
      const root = fresh();
      for (const name of ['a/b/one', 'a/b/two', 'a/three']) await put(root + name, Buffer.from(name));
      await files.remove([`${root}a/b/one`, `${root}a/b/none`, `${root}x/y/z`]);
      expect(await names(root)).toEqual([`${root}a/b/two`, `${root}a/three`]);
      await files.remove([`${root}a/b/two`]);
      await files.remove([`${root}a/b/two`]);
      await files.remove([]);
      expect(await names(root)).toEqual([`${root}a/three`]);
      await files.remove([`${root}a/three`]);
      expect(await place.leftovers()).toEqual([]);
    });

    it('a folder that empties while another writes into it loses nothing', async () => {
      const root = fresh();
      for (let round = 0; round < 30; round += 1) {
        await put(`${root}a/b/going`, Buffer.from('x'));
        const coming = `${root}a/b/coming${String(round)}`;
        // A server of its own may lose the race and say so; what it must not do is lose the object.
        await Promise.all([
          files.remove([`${root}a/b/going`]),
          tryAgain(() => put(coming, Buffer.from('y'))),
        ]);
        expect((await get(coming)).toString()).toBe('y');
        await files.remove([coming]);
      }
      expect(await place.leftovers()).toEqual([]);
    });

    it('says files.missing for an object that is not there, and for the name of a folder', async () => {
      const root = fresh();
      await put(`${root}folder/object`, Buffer.from('x'));
      for (const key of [
        `${root}none`,
        `${root}none/at/all`,
        `${root}folder`,
        `${root}folder/object/below`,
      ]) {
        await expect(get(key)).rejects.toMatchObject({ code: 'files.missing' });
        expect(await files.stat(key)).toBeNull();
        expect(await files.stat(key, { sha256: true })).toBeNull();
        await files.remove([key]);
      }
      expect(await names(root)).toEqual([`${root}folder/object`]);
    });

    it.each(unsafe)('refuses the name %j', async (key) => {
      const refused = { code: 'files.unsafeKey' };
      const kept = `${fresh()}kept`;
      await put(kept, Buffer.from('x'));
      const body = inPieces(Buffer.from('x'));
      await expect(files.write(key, body, { signal })).rejects.toMatchObject(refused);
      expect(body.destroyed).toBe(true);
      await expect(get(key)).rejects.toMatchObject(refused);
      await expect(files.stat(key)).rejects.toMatchObject(refused);
      await expect(files.remove([kept, key])).rejects.toMatchObject(refused);
      expect(await names(kept)).toEqual([kept]);
    });

    it.each(['../', '/', 'a//', '.h', 'a/../', 'a b'])('refuses to list or sweep %j', async (prefix) => {
      await expect(listed(prefix)).rejects.toMatchObject({ code: 'files.unsafeKey' });
      await expect(files.sweep(prefix, 0)).rejects.toMatchObject({ code: 'files.unsafeKey' });
    });

    it('sweeps what killed writes left below the prefix for long enough, and never an object', async () => {
      const root = fresh();
      await put(`${root}a/object`, Buffer.from('x'));
      await place.abandon(`${root}a/object`);
      await place.abandon(`${root}a/partial`);
      await place.abandon(`${root}b/c/partial`);
      expect(await place.leftovers()).not.toEqual([]);
      expect(await names(root)).toEqual([`${root}a/object`]);
      expect(await files.sweep(root, 3_600_000)).toBe(0);
      expect(await files.sweep(`${root}other`, 0)).toBe(0);
      expect(await files.sweep(`${root}a/`, 0)).toBe(2);
      expect(await files.sweep(root, 0)).toBe(1);
      expect(await files.sweep(root, 0)).toBe(0);
      expect(await place.leftovers()).toEqual([]);
      expect((await get(`${root}a/object`)).toString()).toBe('x');
    });

    it('writes and reads 200 MB without holding them in memory', async () => {
      const key = `${fresh()}big`;
      const pieces = 200;
      const before = liveBytes();
      let most = 0;
      const expected = createHash('sha256');
      const source = Readable.from(
        (async function* () {
          for (let index = 0; index < pieces; index += 1) {
            const piece = Buffer.alloc(mega, index);
            expected.update(piece);
            if (index % 10 === 0) most = Math.max(most, liveBytes() - before);
            yield piece;
            await nextTurn();
          }
        })(),
        { highWaterMark: 1 },
      );
      await files.write(key, source, { signal });
      const found = createHash('sha256');
      let taken = 0;
      for await (const piece of (await files.read(key, { signal })) as AsyncIterable<Buffer>) {
        found.update(piece);
        if (Math.floor((taken + piece.length) / (20 * mega)) > Math.floor(taken / (20 * mega))) {
          await nextTurn();
          most = Math.max(most, liveBytes() - before);
        }
        taken += piece.length;
      }
      expect(found.digest('hex')).toBe(expected.digest('hex'));
      expect(most).toBeLessThan(64 * mega);
      await files.remove([key]);
    });

    it('answers a check with its version, and closes more than once', async () => {
      const health = await place.store.check();
      expect(health.version).not.toBe('');
      expect(health.freeBytes === undefined || health.freeBytes > 0).toBe(true);
      const other = await open();
      await other.store.close();
      await other.store.close();
      await other.dispose();
    });
  });
}

/** Content that no compression or deduplication of a server makes small, the same each time. */
function randomBytesLike(bytes: number): Buffer {
  const content = Buffer.alloc(bytes);
  let state = 42;
  for (let at = 0; at + 4 <= bytes; at += 4) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    content.writeInt32LE(state, at);
  }
  return content;
}

/** As a workflow would: again, while the error is one of those that may go away. */
async function tryAgain(work: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await work();
      return;
    } catch (error) {
      if (!(error instanceof SynclineError) || error.retry !== 'automatic' || attempt === 5) throw error;
    }
  }
}

async function nextTurn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

function causeOf(error: unknown): unknown {
  return error instanceof Error ? error.cause : undefined;
}
