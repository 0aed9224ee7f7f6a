import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { directoryError } from '../../../stores/directory/errors.ts';
import { directoryModule } from '../../../stores/directory/module.ts';
import type { FileStore } from '../../../stores/spi/files.ts';
import { requireCapability, type Store } from '../../../stores/spi/store.ts';
import { contentOf, inPieces } from '../../conformance/streams.ts';

const signal = new AbortController().signal;
const mega = 1024 * 1024;

let base: string;
let root: string;
let store: Store;
let files: FileStore;

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'syncline-surroundings-'));
  root = join(base, 'root');
  await mkdir(root);
  store = directoryModule.open('disk', { kind: 'directory', path: root });
  files = requireCapability(store, 'files');
});
afterEach(() => rm(base, { recursive: true, force: true }));

const write = async (key: string, content = 'x'): Promise<void> => {
  await files.write(key, inPieces(Buffer.from(content)), { signal });
};

describe('symbolic links below the root', () => {
  beforeEach(async () => {
    await mkdir(join(base, 'outside'));
    await writeFile(join(base, 'outside', 'secret'), 'not for anybody');
    await symlink(join(base, 'outside'), join(root, 'folder'));
    await symlink(join(base, 'outside', 'secret'), join(root, 'object'));
  });

  it.each(['folder/secret', 'object'])('are not followed to read %s', async (key) => {
    await expect(files.read(key, { signal })).rejects.toMatchObject({ code: 'files.unsafeKey' });
    await expect(files.stat(key, { sha256: true })).rejects.toMatchObject({ code: 'files.unsafeKey' });
  });

  it('are not followed to write, remove, list or sweep', async () => {
    const refused = { code: 'files.unsafeKey' };
    await expect(write('folder/new')).rejects.toMatchObject(refused);
    await expect(write('folder/deeper/new')).rejects.toMatchObject(refused);
    await expect(files.remove(['folder/secret'])).rejects.toMatchObject(refused);
    await expect(files.list('folder/')[Symbol.asyncIterator]().next()).rejects.toMatchObject(refused);
    await expect(files.sweep('folder/', 0)).rejects.toMatchObject(refused);
    for await (const { key } of files.list('')) expect(key).toBe('no object is a link');
    expect(await readdir(join(base, 'outside'))).toEqual(['secret']);
  });

  it('are replaced by an object of their name: what they pointed to is untouched', async () => {
    await write('object', 'ours');
    expect((await contentOf(await files.read('object', { signal }))).toString()).toBe('ours');
    expect(await readFile(join(base, 'outside', 'secret'), 'utf8')).toBe('not for anybody');
  });

  it('may lead to the root itself', async () => {
    await symlink(root, join(base, 'door'));
    const byDoor = directoryModule.open('door', { kind: 'directory', path: join(base, 'door') });
    await requireCapability(byDoor, 'files').write('a/b', inPieces(Buffer.from('x')), { signal });
    expect(await readFile(join(root, 'a', 'b'), 'utf8')).toBe('x');
  });
});

describe('a directory with things that are not ours', () => {
  it('lists only what can be an object', async () => {
    await write('a/object');
    await writeFile(join(root, 'a', 'with a blank'), 'x');
    await writeFile(join(root, '.hidden'), 'x');
    await mkdir(join(root, '.git'));
    await writeFile(join(root, '.git', 'config'), 'x');
    const keys: string[] = [];
    for await (const { key } of files.list('')) keys.push(key);
    expect(keys).toEqual(['a/object']);
    expect(await files.sweep('', 0)).toBe(0);
    expect((await readdir(root)).sort()).toEqual(['.git', '.hidden', 'a']);
  });

  it.each(['a/object', 'a/object/below', 'b'])('says that %s stands for two things at once', async (key) => {
    await write('a/object/below'.startsWith(key) && key === 'a/object' ? 'a/object/below' : 'a/object');
    await mkdir(join(root, 'b', 'inside'), { recursive: true });
    await expect(write(key === 'a/object' ? 'a' : key)).rejects.toMatchObject({ code: 'files.unsafeKey' });
  });

  it('says that a name is too long for the disk', async () => {
    await expect(write(`a/${'n'.repeat(300)}`)).rejects.toMatchObject({ code: 'files.unsafeKey' });
    expect(await readdir(root)).toEqual([]);
  });
});

describe('a disk that refuses', () => {
  it.each([
    ['ENOSPC', 'store.diskFull'],
    ['EDQUOT', 'store.diskFull'],
    ['EACCES', 'store.permission'],
    ['EROFS', 'store.permission'],
    ['EIO', 'store.connectionLost'],
    ['EMFILE', 'store.unreachable'],
  ])('with %s is %s', (system, code) => {
    const error = directoryError(Object.assign(new Error('as the system says'), { code: system }), {
      store: 'disk',
      key: 'a/b',
    });
    expect(error).toMatchObject({ code, details: { store: 'disk' } });
    expect(error.message).toContain('a/b');
  });

  it('because it is full leaves no partial file and keeps what was there', async () => {
    await onDiskOf8MB(async () => {
      await write('kept', 'the old object');
      for (const key of ['a/new', 'kept']) {
        const body = inPieces(Buffer.alloc(20 * mega, 1));
        await expect(files.write(key, body, { signal })).rejects.toMatchObject({ code: 'store.diskFull' });
        expect(body.destroyed).toBe(true);
      }
      expect(await readdir(root)).toEqual(['kept']);
      expect(await readFile(join(root, 'kept'), 'utf8')).toBe('the old object');
    });
  });

  it('to be written to says store.permission, and can still be read from', async () => {
    await write('kept', 'x');
    await readOnly(async () => {
      await expect(write('a/new')).rejects.toMatchObject({ code: 'store.permission' });
      await expect(files.remove(['kept'])).rejects.toMatchObject({ code: 'store.permission' });
      expect((await contentOf(await files.read('kept', { signal }))).toString()).toBe('x');
    });
  });

  it('because the path is a file shows in the check', async () => {
    await writeFile(join(base, 'file'), 'x');
    const wrong = directoryModule.open('disk', { kind: 'directory', path: join(base, 'file') });
    await expect(wrong.check()).rejects.toMatchObject({ code: 'store.permission' });
    const below = directoryModule.open('disk', { kind: 'directory', path: join(base, 'later', 'still') });
    expect((await below.check()).warnings).toHaveLength(1);
  });
});

/** A real small disk; where nothing can be mounted, a limit on the size of files, which the system words alike. */
async function onDiskOf8MB(work: () => Promise<void>): Promise<void> {
  const limit = (bytes: string): unknown =>
    execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:`]);
  const mounted = mountsSmallDisk();
  if (!mounted) limit(String(8 * mega));
  try {
    await work();
  } finally {
    if (mounted) execFileSync('umount', ['-l', root]);
    else limit('unlimited');
  }
}

function mountsSmallDisk(): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', root], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Without the right to write; root has it everywhere, and becomes somebody else for as long. */
async function readOnly(work: () => Promise<void>): Promise<void> {
  const isRoot = process.geteuid?.() === 0;
  await chmod(base, 0o755);
  await chmod(root, 0o555);
  if (isRoot) process.seteuid?.(65_534);
  try {
    await work();
  } finally {
    if (isRoot) process.seteuid?.(0);
    await chmod(root, 0o755);
  }
}
