import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Sessions } from '../../../stores/sftp/connection/sessions.ts';
import { rsyncPartialFolder } from '../../../stores/sftp/files/names.ts';
import { RsyncMirror } from '../../../stores/sftp/mirror/rsync-mirror.ts';
import { requireCapability } from '../../../stores/spi/store.ts';
import { eventually } from '../../support/eventually.ts';
import { makeClientKey, type Sshd, startAgent, startSshd } from '../../support/sshd.ts';
import { leftoversIn, openSftp, settingsFor } from './sftp-place.ts';

const signal = new AbortController().signal;
const never = 'never shown 5f3a';
const keys = [
  'data/-a=20+b@c_.d/one',
  'data/x/two',
  'backups/20260101T000000Z-0a/manifest.json',
  '-n',
  'a=-e',
];

describe('rsync over ssh', () => {
  let sshd: Sshd;
  let local: string;

  beforeAll(async () => {
    sshd = await startSshd();
    local = join(sshd.folder, 'the local "vault"');
    for (const key of [...keys, 'not/asked/for']) {
      await mkdir(dirname(join(local, key)), { recursive: true });
      await writeFile(join(local, key), `content of ${key} `.repeat(1000));
    }
  });
  afterAll(() => sshd.close());

  const open = (
    over: Record<string, unknown> = {},
  ): { mirror: RsyncMirror; root: string; sessions: Sessions } => {
    const settings = settingsFor(sshd, over);
    const sessions = new Sessions('far', settings);
    return { mirror: new RsyncMirror(sessions, settings), root: settings.path, sessions };
  };
  const sizeOf = async (names: readonly string[]): Promise<number> => {
    const sizes = await Promise.all(names.map(async (key) => (await stat(join(local, key))).size));
    return sizes.reduce((sum, size) => sum + size, 0);
  };

  it('brings what it was asked for, names with odd characters too, and then only what differs', async () => {
    const { mirror, root, sessions } = open();
    const all = { files: keys.length, bytes: await sizeOf(keys) };
    expect(await mirror.pushCounting({ root: local, keys, signal })).toEqual(all);
    for (const key of keys) {
      expect(await readFile(join(root, key), 'utf8')).toBe(await readFile(join(local, key), 'utf8'));
    }
    expect(await readdir(root)).not.toContain('not');
    expect(await leftoversIn(root)).toEqual([]);

    expect(await mirror.pushCounting({ root: local, keys, signal })).toEqual({ files: 0, bytes: 0 });

    const [damaged = '', gone = ''] = keys;
    const { size, mtime } = await stat(join(root, damaged));
    await writeFile(join(root, damaged), 'x'.repeat(size));
    execFileSync('touch', ['-d', mtime.toISOString(), join(root, damaged)]);
    await rm(join(root, gone));
    const both = { files: 2, bytes: await sizeOf([damaged, gone]) };
    expect(await mirror.pushCounting({ root: local, keys, signal })).toEqual(both);
    expect(await readFile(join(root, damaged), 'utf8')).toBe(await readFile(join(local, damaged), 'utf8'));
    await sessions.close();
  });

  it('is a capability of the store, unless the setting says no', async () => {
    const { store, root } = openSftp(sshd);
    expect(await requireCapability(store, 'fileMirror').ready()).toEqual({ reason: null });
    await requireCapability(store, 'fileMirror').push({ root: local, keys, signal });
    const listed: string[] = [];
    for await (const { key } of requireCapability(store, 'files').list('')) listed.push(key);
    expect(listed).toEqual([...keys].sort());
    expect(await leftoversIn(root)).toEqual([]);
    await store.close();
    expect(openSftp(sshd, { rsync: false }).store.capabilities.fileMirror).toBeUndefined();
  });

  it('logs in with a key that has a passphrase, with the text of a key, and by an agent', async () => {
    const sealed = await makeClientKey(sshd.folder, 'sealed', never);
    await writeFile(join(sshd.folder, 'authorized_keys'), `${sealed.publicKey}\n`, { flag: 'a' });
    const agent = await startAgent(sshd);
    const temporary = join(sshd.folder, 'tmp');
    await mkdir(temporary);
    vi.stubEnv('TMPDIR', temporary);
    const none = { privateKeyFile: undefined };
    for (const over of [
      { privateKeyFile: sealed.file, passphrase: never },
      { ...none, privateKey: sealed.text.trim(), passphrase: never },
      { ...none, agent: agent.socket },
    ]) {
      const { mirror, root, sessions } = open(over);
      await mirror.push({ root: local, keys: ['-n'], signal });
      expect(await readdir(root)).toEqual(['-n']);
      await sessions.close();
    }
    agent.end();
    vi.unstubAllEnvs();
    expect(await readdir(temporary)).toEqual([]);
  });

  it('says why it cannot work: only a password, or a server that allows no commands', async () => {
    const withPassword = open({ privateKeyFile: undefined, password: never });
    const { reason } = await withPassword.mirror.ready();
    expect(reason).toMatch(/only a password/);
    expect(reason).not.toContain(never);
    await expect(withPassword.mirror.push({ root: local, keys, signal })).rejects.toMatchObject({
      code: 'store.unsupported',
    });
    const closed = await startSshd({ onlySftp: true });
    const { store } = openSftp(closed);
    expect((await requireCapability(store, 'fileMirror').ready()).reason).toMatch(/has no rsync/);
    await store.close();
    await closed.close();
  });

  it('says files.missing for a file that is not there, and refuses unsafe names before anything runs', async () => {
    const { mirror, sessions } = open();
    const missing = mirror.push({ root: local, keys: ['data/none'], signal });
    await expect(missing).rejects.toMatchObject({ code: 'files.missing' });
    const unsafe = mirror.push({ root: local, keys: ['../client'], signal });
    await expect(unsafe).rejects.toMatchObject({ code: 'files.unsafeKey' });
    await sessions.close();
  });

  it('ends rsync when the signal aborts, shows nothing of the half-brought object, and goes on later', async () => {
    await writeFile(join(local, 'big'), Buffer.alloc(3_000_000, 7));
    const { mirror, root, sessions } = open();
    const abort = new AbortController();
    const reason = new Error('given up');
    const slow = { root: local, keys: ['big'], throttleBytesPerSecond: 100 * 1024, signal: abort.signal };
    const pushing = mirror.push(slow);
    pushing.catch(() => undefined);
    const hidden = await eventually(async () => (await readdir(root)).find((name) => name.startsWith('.')));
    await eventually(async () => (await readdir(join(root, hidden))).length > 0);
    const { store } = openSftp(sshd, { path: root });
    const files = requireCapability(store, 'files');
    expect(await files.stat('big')).toBeNull();
    abort.abort(reason);
    await expect(pushing).rejects.toBe(reason);
    expect(await files.stat('big')).toBeNull();
    await eventually(async () => {
      await files.sweep('', 0);
      return (await leftoversIn(root)).length === 0;
    });
    await mirror.push({ root: local, keys: ['big'], signal });
    expect(await files.stat('big')).toMatchObject({ bytes: 3_000_000 });
    await Promise.all([store.close(), sessions.close()]);
  });

  it('a server killed in the middle loses the connection and shows nothing, and is used again', async () => {
    await writeFile(join(local, 'huge'), Buffer.alloc(3_000_000, 8));
    const { mirror, root, sessions } = open();
    const request = { root: local, keys: ['huge'], signal };
    const pushing = mirror.push({ ...request, throttleBytesPerSecond: 100 * 1024 });
    pushing.catch(() => undefined);
    const hidden = await eventually(async () => (await readdir(root)).find((name) => name.startsWith('.')));
    await eventually(async () => (await readdir(join(root, hidden))).length > 0);
    await sshd.kill();
    await expect(pushing).rejects.toMatchObject({ code: 'store.connectionLost' });
    expect((await readdir(root)).filter((name) => !name.startsWith('.'))).toEqual([]);
    await sshd.start();
    await mirror.push(request);
    expect((await stat(join(root, 'huge'))).size).toBe(3_000_000);
    await sessions.close();
  });

  it('keeps what an ended run had brought, out of sight of the list, until it is used or swept', async () => {
    const { store, root } = openSftp(sshd);
    const files = requireCapability(store, 'files');
    await mkdir(join(root, 'data', rsyncPartialFolder), { recursive: true });
    await writeFile(join(root, 'data', rsyncPartialFolder, 'half'), 'half');
    for await (const { key } of files.list('')) expect.fail(`shows ${key}`);
    expect(await files.sweep('', 3_600_000)).toBe(0);
    expect(await files.sweep('data/', 0)).toBe(1);
    expect(await leftoversIn(root)).toEqual([]);
    await store.close();
  });

  it('takes the host key that our own connection verified and no other', async () => {
    const other = await startSshd();
    await writeFile(join(other.folder, 'authorized_keys'), `${sshd.clientKey.publicKey}\n`);
    const forwarder = await startForwarder(sshd.port);
    const { mirror, root, sessions } = open({ port: forwarder.port });
    expect(await mirror.ready()).toEqual({ reason: null });
    // From now on new connections reach another server, as with somebody in the middle.
    forwarder.leadTo(other.port);
    await expect(mirror.push({ root: local, keys: ['-n'], signal })).rejects.toMatchObject({
      code: 'store.hostKey',
    });
    expect(await other.log()).not.toContain('Accepted');
    expect(await readdir(root)).toEqual([]);
    await sessions.close();
    await forwarder.close();
    await other.close();
  });
});

interface Forwarder {
  readonly port: number;
  leadTo(port: number): void;
  close(): Promise<void>;
}

async function startForwarder(target: number): Promise<Forwarder> {
  let port = target;
  const server = createServer((client) => {
    const far = connect(port, '127.0.0.1');
    client.on('error', () => far.destroy()).on('close', () => far.destroy());
    far.on('error', () => client.destroy()).on('close', () => client.destroy());
    client.pipe(far).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The forwarder has no port.');
  return {
    port: address.port,
    leadTo: (next) => (port = next),
    close: async () => {
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
