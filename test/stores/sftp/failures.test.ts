import { execFileSync } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FileStore } from '../../../stores/spi/files.ts';
import { requireCapability } from '../../../stores/spi/store.ts';
import { contentOf, hashOf, inPieces } from '../../conformance/streams.ts';
import { eventually } from '../../support/eventually.ts';
import { type Sshd, startSshd } from '../../support/sshd.ts';
import { startTcpProxy } from '../../support/tcp-proxy.ts';
import { leftoversIn, openSftp } from './sftp-place.ts';

const signal = new AbortController().signal;
const mega = 1024 * 1024;

describe('An SFTP store when things fail', () => {
  let sshd: Sshd;
  beforeAll(async () => {
    sshd = await startSshd();
  });
  afterAll(() => sshd.close());

  const put = async (files: FileStore, key: string, content: Buffer): Promise<void> => {
    await files.write(key, inPieces(content), { signal });
  };

  it('a server killed in the middle of a write loses the connection, shows nothing, and is used again', async () => {
    const { store, root } = openSftp(sshd);
    const files = requireCapability(store, 'files');
    await put(files, 'kept', Buffer.from('old'));
    let given = 0;
    const body = new Readable({
      read() {
        given += 1;
        if (given <= 40) this.push(Buffer.alloc(mega / 4, given));
        // Then it is silent: only the loss itself can end this write.
      },
    });
    const writing = files.write('kept', body, { signal });
    writing.catch(() => undefined);
    await eventually(async () => (await leftoversIn(root)).length === 1 && given > 40);
    await sshd.kill();
    await expect(writing).rejects.toMatchObject({ code: 'store.connectionLost' });
    expect(body.destroyed).toBe(true);
    await expect(files.stat('kept')).rejects.toMatchObject({ code: 'store.unreachable' });
    await sshd.start();
    expect((await contentOf(await files.read('kept', { signal }))).toString()).toBe('old');
    expect(await leftoversIn(root)).toHaveLength(1);
    await put(files, 'kept', Buffer.from('new'));
    expect((await contentOf(await files.read('kept', { signal }))).toString()).toBe('new');
    expect(await leftoversIn(root)).toEqual([]);
    await store.close();
  });

  it('a server killed in the middle of a read fails the stream, and can be read again', async () => {
    const { store } = openSftp(sshd);
    const files = requireCapability(store, 'files');
    const content = Buffer.alloc(20 * mega, 5);
    await put(files, 'big', content);
    const body = await files.read('big', { signal });
    const reading = (async () => {
      let taken = 0;
      for await (const piece of body as AsyncIterable<Buffer>) {
        if (taken === 0) await sshd.kill();
        taken += piece.length;
      }
      return taken;
    })();
    await expect(reading).rejects.toMatchObject({ code: 'store.connectionLost' });
    await sshd.start();
    expect(hashOf(await contentOf(await files.read('big', { signal })))).toBe(hashOf(content));
    await store.close();
  });

  it('a network that falls silent loses the connection, because it is asked whether it lives', async () => {
    const proxy = await startTcpProxy(sshd);
    const { store } = openSftp(sshd, { port: proxy.port, keepAliveMs: 100, connections: 1 });
    const files = requireCapability(store, 'files');
    await put(files, 'a', Buffer.from('a'));
    proxy.pause();
    await expect(files.stat('a')).rejects.toMatchObject({ code: 'store.connectionLost' });
    proxy.heal();
    expect(await files.stat('a')).toMatchObject({ bytes: 1 });
    await store.close();
    await proxy.close();
  });

  it('an abort does not wait for a silent network', async () => {
    const proxy = await startTcpProxy(sshd);
    const { store } = openSftp(sshd, { port: proxy.port });
    const files = requireCapability(store, 'files');
    await put(files, 'a', Buffer.from('a'));
    proxy.pause();
    const abort = new AbortController();
    const reason = new Error('given up');
    const asked = files.stat('a', { signal: abort.signal });
    abort.abort(reason);
    await expect(asked).rejects.toBe(reason);
    proxy.heal();
    await store.close();
    await proxy.close();
  });

  it('a full disk says store.diskFull, leaves nothing behind, and takes the object once there is room', async () => {
    const disk = await smallDisk();
    const server = await startSshd({ maxFileBytes: disk.mounted ? null : 4 * mega });
    const { store, root } = openSftp(server, { path: join(disk.folder, 'vault') });
    const files = requireCapability(store, 'files');
    await put(files, 'fits', Buffer.alloc(mega, 1));
    const writing = put(files, 'deep/big', Buffer.alloc(16 * mega, 2));
    await expect(writing).rejects.toMatchObject({ code: 'store.diskFull' });
    expect(await readdir(root)).toEqual(['fits']);
    await put(files, 'also', Buffer.alloc(mega, 3));
    if (disk.mounted) {
      expect((await store.check()).freeBytes).toBeLessThan(6 * mega);
      await expect(
        requireCapability(store, 'fileMirror').push(await localFile(server, 16 * mega)),
      ).rejects.toMatchObject({ code: 'store.diskFull' });
    }
    await store.close();
    await server.close();
    await disk.remove();
  });

  it('two jobs at once share the connections and do not disturb each other', async () => {
    const { store } = openSftp(sshd, { connections: 2 });
    const files = requireCapability(store, 'files');
    const before = ((await sshd.log()).match(/Accepted publickey/g) ?? []).length;
    const objects = Array.from({ length: 12 }, (_, index) => ({
      key: `job${String(index % 2)}/${String(index)}`,
      content: Buffer.alloc(2 * mega + index, index),
    }));
    await Promise.all(objects.map(({ key, content }) => put(files, key, content)));
    const found = await Promise.all(
      objects.map(async ({ key }) => hashOf(await contentOf(await files.read(key, { signal })))),
    );
    expect(found).toEqual(objects.map(({ content }) => hashOf(content)));
    const after = ((await sshd.log()).match(/Accepted publickey/g) ?? []).length;
    expect(after - before).toBe(2);
    await store.close();
  });

  it('closing the store ends what is under way, and later calls say so', async () => {
    const { store } = openSftp(sshd);
    const files = requireCapability(store, 'files');
    await put(files, 'a', Buffer.alloc(20 * mega));
    const body = await files.read('a', { signal });
    const reading = (async () => {
      for await (const piece of body) if (piece !== null) await store.close();
    })();
    await expect(reading).rejects.toMatchObject({ code: 'store.connectionLost' });
    await expect(files.stat('a')).rejects.toMatchObject({ code: 'store.connectionLost' });
  });

  it('a right that the user lacks says store.permission', async () => {
    // Root lacks none, so the server refuses requests by its settings, with the status of a missing right.
    for (const request of ['mkdir', 'open']) {
      const strict = await startSshd({ withoutRequests: [request] });
      const { store, root } = openSftp(strict);
      const writing = put(requireCapability(store, 'files'), 'x/a', Buffer.from('a'));
      await expect(writing).rejects.toMatchObject({ code: 'store.permission' });
      expect(await leftoversIn(root)).toEqual([]);
      await store.close();
      await strict.close();
    }
  });

  it('a place where no directory can be made fails and does not try for ever', async () => {
    const { store } = openSftp(sshd, { path: '/proc/self/vault' });
    const writing = put(requireCapability(store, 'files'), 'a', Buffer.from('a'));
    await expect(writing).rejects.toMatchObject({ code: 'files.missing' });
    expect((await store.check()).warnings.join()).toMatch(/not there yet/);
    await store.close();
  });
});

describe('An SFTP store on a server without the extensions of OpenSSH', () => {
  let sshd: Sshd;
  beforeAll(async () => {
    sshd = await startSshd({ withoutRequests: ['posix-rename', 'fsync', 'statvfs'], onlySftp: false });
  });
  afterAll(() => sshd.close());

  it('replaces objects, one of several writers wins whole, and check tells what it cannot do', async () => {
    const { store, root } = openSftp(sshd);
    const files = requireCapability(store, 'files');
    const contents = [1, 2, 3, 4].map((byte) => Buffer.alloc(mega, byte));
    for (const content of contents) {
      await files.write('x/a', inPieces(content), { signal });
      expect(hashOf(await contentOf(await files.read('x/a', { signal })))).toBe(hashOf(content));
    }
    await Promise.all(contents.map((content) => files.write('x/a', inPieces(content), { signal })));
    const found = await files.stat('x/a', { sha256: true });
    expect(contents.map(hashOf)).toContain(found?.sha256);
    expect(await leftoversIn(root)).toEqual([]);
    const health = await store.check();
    expect(health.warnings.join()).toMatch(/posix-rename/);
    expect(health.freeBytes).toBeUndefined();
    await store.close();
  });

  it('gives an object its name back when its replacement died half-way', async () => {
    const { store, root } = openSftp(sshd);
    const files = requireCapability(store, 'files');
    await files.write('state', inPieces(Buffer.from('old')), { signal });
    await rm(join(root, 'state'));
    await writeFile(join(root, '.syncline-old-00c0ffee-state'), 'old');
    expect(await files.sweep('', 0)).toBe(0);
    expect((await contentOf(await files.read('state', { signal }))).toString()).toBe('old');
    await store.close();
  });

  it('hashes what it reads back where no command may run', async () => {
    const closed = await startSshd({ onlySftp: true });
    const { store } = openSftp(closed);
    const files = requireCapability(store, 'files');
    const content = Buffer.alloc(mega, 9);
    await files.write('a', inPieces(content), { signal });
    expect(await files.stat('a', { sha256: true })).toMatchObject({ sha256: hashOf(content) });
    await store.close();
    await closed.close();
  });
});

interface SmallDisk {
  readonly folder: string;
  /** False in a container that may not mount: then the server's own limit of a file says the same. */
  readonly mounted: boolean;
  remove(): Promise<void>;
}

async function smallDisk(): Promise<SmallDisk> {
  const folder = await mkdtemp(join(tmpdir(), 'syncline-disk-'));
  const { uid, gid } = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  let mounted = true;
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', folder], { stdio: 'ignore' });
  } catch {
    mounted = false;
  }
  await chown(folder, uid, gid);
  await chmod(folder, 0o755);
  const remove = async (): Promise<void> => {
    if (mounted) execFileSync('umount', [folder]);
    await rm(folder, { recursive: true });
  };
  return { folder, mounted, remove };
}

async function localFile(
  server: Sshd,
  bytes: number,
): Promise<{ root: string; keys: string[]; signal: AbortSignal }> {
  const root = join(server.folder, 'local');
  await mkdir(root);
  await writeFile(join(root, 'large'), Buffer.alloc(bytes, 4));
  return { root, keys: ['large'], signal };
}
