import { createHmac, randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import ssh2 from 'ssh2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SynclineError } from '../../../definitions/errors.ts';
import { connect } from '../../../stores/sftp/connection/connect.ts';
import { fingerprintOf } from '../../../stores/sftp/connection/host-keys.ts';
import { sftpSettings } from '../../../stores/sftp/settings.ts';
import { requireCapability } from '../../../stores/spi/store.ts';
import { makeClientKey, type Sshd, startSshd } from '../../support/sshd.ts';
import { openSftp, settingsFor } from './sftp-place.ts';

const secret = 'never shown 7c1e';
const signal = new AbortController().signal;

describe('Logging in to an SFTP store', () => {
  let sshd: Sshd;
  beforeAll(async () => {
    sshd = await startSshd();
  });
  afterAll(() => sshd.close());

  /** The error of the first use; what it and its store show must hold no secret. */
  const refusal = async (over: Record<string, unknown>): Promise<SynclineError> => {
    const { store } = openSftp(sshd, over);
    const files = requireCapability(store, 'files');
    const error = await files
      .write('a', Readable.from(['row']), { signal })
      .catch((failed: unknown) => failed);
    await store.close();
    if (!(error instanceof SynclineError)) throw new Error('The store let it in.', { cause: error });
    for (const told of [error.message, JSON.stringify(error), error.stack ?? '']) {
      expect(told).not.toContain(secret);
      expect(told).not.toContain('PRIVATE KEY');
    }
    return error;
  };
  const enters = async (over: Record<string, unknown>): Promise<string> => {
    const { store } = openSftp(sshd, over);
    try {
      return (await store.check()).version;
    } finally {
      await store.close();
    }
  };
  const hostKeyBody = (): string => sshd.hostKey.split(' ')[1] ?? '';
  const knownHosts = async (...lines: string[]): Promise<Record<string, unknown>> => {
    const file = join(sshd.folder, `known_hosts_${randomBytes(4).toString('hex')}`);
    await writeFile(file, `# comment\n\n${lines.join('\n')}\n`);
    return { hostKey: undefined, knownHosts: file };
  };
  const named = (): string => `[127.0.0.1]:${String(sshd.port)}`;

  it('trusts the key of the setting: whole, as a fingerprint, one of several, or of another type', async () => {
    const fingerprint = `SHA256:${fingerprintOf(Buffer.from(hostKeyBody(), 'base64'))}`;
    const other = (await makeClientKey(sshd.folder, 'other-host')).publicKey;
    for (const hostKey of [
      sshd.hostKey,
      fingerprint,
      [other, sshd.hostKey],
      `${other}\n${fingerprint}\n`,
      sshd.rsaHostKey,
    ]) {
      expect(await enters({ hostKey })).toMatch(/OpenSSH/);
    }
  });

  it('trusts a file of known hosts: plain, hashed, with wildcards, beside keys of others', async () => {
    const salt = randomBytes(20);
    const hash = createHmac('sha1', salt).update(named()).digest('base64');
    const hashed = `|1|${salt.toString('base64')}|${hash}`;
    for (const line of [
      `${named()} ${sshd.hostKey}`,
      `example.org,${named()} ${sshd.hostKey} comment`,
      `${hashed} ${sshd.hostKey}`,
      `[127.0.0.*]:${String(sshd.port)} ${sshd.hostKey}`,
      `${named()} ${sshd.rsaHostKey}`,
    ]) {
      expect(await enters(await knownHosts(`example.org ${sshd.rsaHostKey}`, line))).toMatch(/OpenSSH/);
    }
  });

  it('refuses an unknown, a changed and a revoked key with its fingerprint, and sends nothing', async () => {
    const other = (await makeClientKey(sshd.folder, 'changed-host')).publicKey;
    const before = await sshd.log();
    const cases: [RegExp, Record<string, unknown>][] = [
      [/not among the known/, await knownHosts(`[127.0.0.1]:1 ${sshd.hostKey}`, `127.0.0.1 ${sshd.hostKey}`)],
      [/not among the known/, await knownHosts(`*,!${named()} ${sshd.hostKey}`)],
      [/not among the known/, await knownHosts(`@cert-authority ${named()} ${sshd.hostKey}`)],
      [/are others/, await knownHosts(`${named()} ${other}`)],
      [/are others/, { hostKey: other }],
      [/are others/, { hostKey: `SHA256:${'A'.repeat(43)}` }],
      [/revoked/, await knownHosts(`${named()} ${sshd.hostKey}`, `@revoked ${named()} ${sshd.hostKey}`)],
    ];
    for (const [why, over] of cases) {
      const error = await refusal({ ...over, privateKeyFile: undefined, password: secret });
      expect(error).toMatchObject({ code: 'store.hostKey' });
      expect(error.message).toMatch(why);
      expect(error.message).toContain(`SHA256:${fingerprintOf(Buffer.from(hostKeyBody(), 'base64'))}`);
    }
    const file = join(sshd.folder, 'no-such-file');
    expect(await refusal({ hostKey: undefined, knownHosts: file })).toMatchObject({ code: 'store.hostKey' });
    // Not even the name of the user has come through.
    expect((await sshd.log()).slice(before.length)).not.toMatch(/Failed|Accepted|for (invalid )?user/);
  });

  it('says store.authentication for a wrong password, a wrong key and a key that cannot be read', async () => {
    const stranger = await makeClientKey(sshd.folder, 'stranger');
    const sealed = await makeClientKey(sshd.folder, 'sealed', secret);
    const none = { privateKeyFile: undefined };
    for (const over of [
      { ...none, password: secret },
      { privateKeyFile: stranger.file },
      { ...none, privateKey: stranger.text },
      { privateKeyFile: sealed.file },
      { privateKeyFile: sealed.file, passphrase: `${secret} but another` },
      { privateKeyFile: join(sshd.folder, 'none') },
      { ...none, privateKey: secret },
      { ...none, agent: join(sshd.folder, 'no-agent') },
    ]) {
      expect(await refusal(over)).toMatchObject({ code: 'store.authentication' });
    }
  });

  it('says store.unreachable where nobody listens, and for a server that says nothing', async () => {
    expect(await refusal({ port: 1 })).toMatchObject({ code: 'store.unreachable' });
    expect(await refusal({ host: 'no-such-host.invalid' })).toMatchObject({ code: 'store.unreachable' });
    const silent = createServer((socket) => socket.resume());
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const address = silent.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    expect(await refusal({ port, connectTimeoutMs: 200 })).toMatchObject({ code: 'store.unreachable' });
    await new Promise((resolve) => silent.close(resolve));
  });

  it.each(['password', 'keyboard-interactive'])('logs in by %s', async (method) => {
    // No account of this machine has a password that a test could know: only the server's side is played.
    const server = new ssh2.Server({ hostKeys: [await hostKeyText(sshd)] }, (client) => {
      client.on('error', () => undefined);
      client.on('authentication', (asked) => {
        const decide = (given: string | undefined): void => {
          if (given === secret) asked.accept();
          else asked.reject();
        };
        if (asked.method !== method) asked.reject([method as 'password']);
        else if (asked.method === 'password') decide(asked.password);
        else if (asked.method === 'keyboard-interactive') {
          asked.prompt([{ prompt: 'Password: ', echo: false }], (answers) => decide(answers[0]));
        }
      });
      client.on('session', (accept) => accept().on('sftp', (take) => void take()));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const login = { port, privateKeyFile: undefined, password: secret };
    const connected = await connect('far', settingsFor(sshd, login));
    connected.client.end();
    const wrong = connect('far', settingsFor(sshd, { ...login, password: 'another' }));
    await expect(wrong).rejects.toMatchObject({ code: 'store.authentication' });
    await new Promise((resolve) => server.close(resolve));
  });
});

describe('The settings of an SFTP store', () => {
  const complete = { kind: 'sftp', host: 'h', user: 'u', path: '/vault', password: 'p' };
  const faults = (over: Record<string, unknown>): string[] =>
    sftpSettings.safeParse({ ...complete, ...over }).error?.issues.map(({ message }) => message) ?? [];

  it('have defaults', () => {
    expect(sftpSettings.parse(complete)).toMatchObject({ port: 22, connections: 2, rsync: true });
  });

  it.each([
    ['no way to log in', { password: undefined }],
    ['a relative path', { path: 'vault' }],
    ['a path that climbs', { path: '/a/../b' }],
    ['a path of two lines', { path: '/a\nb' }],
    ['a host that is an option', { host: '-oProxyCommand=x' }],
    ['a user that would end its line in a configuration', { user: 'u"\nProxyCommand x' }],
    ['a host key that is none', { hostKey: 'ssh-ed25519 AAAA' }],
    ['two places of host keys', { hostKey: `SHA256:${'A'.repeat(43)}`, knownHosts: '/k' }],
    ['two private keys', { privateKey: 'a', privateKeyFile: '/b' }],
    ['a way to trust everybody', { insecure: true }],
  ])('refuse %s', (_what, over) => {
    expect(faults(over)).toHaveLength(1);
  });
});

async function hostKeyText(sshd: Sshd): Promise<string> {
  return await readFile(join(sshd.folder, 'host_ed25519'), 'utf8');
}
