import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { privateKeyOf } from '../connection/credentials.ts';
import { typeOfKey } from '../connection/host-keys.ts';
import type { SftpSettings } from '../settings.ts';

/** What the `ssh` of one rsync run needs: a directory of its own, for this user only, removed at the end. */
export interface SshSetup {
  /** ssh runs in it, so that no path of it must be quoted for anybody: `ssh -F config syncline`. */
  readonly folder: string;
  readonly environment: Readonly<Record<string, string>>;
  dispose(): Promise<void>;
}

/** The name under which the server is known in `config` and `known_hosts`. */
export const hostAlias = 'syncline';

export interface SshIdentity {
  readonly store: string;
  readonly settings: SftpSettings;
  /** The key that our own connection to this server has verified; ssh takes no other. */
  readonly hostKey: Buffer;
}

export async function setUpSsh(identity: SshIdentity): Promise<SshSetup> {
  const { store, settings, hostKey } = identity;
  const folder = await mkdtemp(join(tmpdir(), 'syncline-ssh-'));
  const dispose = async (): Promise<void> => await rm(folder, { recursive: true, force: true });
  try {
    await chmod(folder, 0o700);
    const write = async (name: string, text: string, mode = 0o600): Promise<void> =>
      await writeFile(join(folder, name), text, { mode, flag: 'wx' });
    const type = typeOfKey(hostKey);
    await write('known_hosts', `${hostAlias} ${type} ${hostKey.toString('base64')}\n`);
    const privateKey = await privateKeyOf(store, settings);
    if (privateKey !== null) await write('key', privateKey);
    await write('config', sshConfig(settings, { folder, hostKeyType: type }));
    // The passphrase goes through the environment of ssh, which only this user can read, and not over the disk.
    await write('askpass', '#!/bin/sh\nprintf "%s\\n" "$SYNCLINE_PASSPHRASE"\n', 0o700);
    return { folder, environment: environmentOf(settings, folder), dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

interface ConfigPlace {
  readonly folder: string;
  readonly hostKeyType: string;
}

/** Everything that a user's or a system's own configuration could say otherwise is said here; those are not read. */
export function sshConfig(settings: SftpSettings, { folder, hostKeyType }: ConfigPlace): string {
  const { host, port, user, privateKey, privateKeyFile, agent, passphrase, connectTimeoutMs, keepAliveMs } =
    settings;
  const hasKey = privateKey !== undefined || privateKeyFile !== undefined;
  const algorithms = hostKeyType === 'ssh-rsa' ? 'rsa-sha2-512,rsa-sha2-256' : hostKeyType;
  const path = (name: string): string => `"${join(folder, name).replaceAll('%', '%%')}"`;
  const options: readonly (readonly [string, string])[] = [
    ['HostName', host],
    ['Port', String(port)],
    ['User', `"${user}"`],
    ['HostKeyAlias', hostAlias],
    ['StrictHostKeyChecking', 'yes'],
    ['UserKnownHostsFile', path('known_hosts')],
    ['GlobalKnownHostsFile', '/dev/null'],
    ['HostKeyAlgorithms', algorithms],
    ['CheckHostIP', 'no'],
    ['UpdateHostKeys', 'no'],
    ['VerifyHostKeyDNS', 'no'],
    ['PreferredAuthentications', 'publickey'],
    ['IdentitiesOnly', agent === undefined ? 'yes' : 'no'],
    ['IdentityAgent', agent === undefined ? 'none' : 'SSH_AUTH_SOCK'],
    ['IdentityFile', hasKey ? path('key') : 'none'],
    // In batch mode ssh would not even ask the helper that knows the passphrase; nobody else can be asked.
    ['BatchMode', passphrase === undefined ? 'yes' : 'no'],
    ['NumberOfPasswordPrompts', '1'],
    ['ConnectTimeout', String(Math.ceil(connectTimeoutMs / 1000))],
    ['ServerAliveInterval', String(Math.ceil(keepAliveMs / 1000))],
    ['ServerAliveCountMax', '3'],
    ['ClearAllForwardings', 'yes'],
    ['ForwardAgent', 'no'],
    ['ForwardX11', 'no'],
    ['PermitLocalCommand', 'no'],
    ['ControlMaster', 'no'],
    ['ControlPath', 'none'],
    ['RequestTTY', 'no'],
    ['LogLevel', 'ERROR'],
  ];
  return `Host ${hostAlias}\n${options.map(([name, value]) => `  ${name} ${value}\n`).join('')}`;
}

/** Only this and nothing of the worker's own: RSYNC_RSH and its like would change what runs. */
function environmentOf({ agent, passphrase }: SftpSettings, folder: string): Record<string, string> {
  const { PATH = '/usr/local/bin:/usr/bin:/bin', HOME = '/' } = process.env;
  return {
    PATH,
    HOME,
    LC_ALL: 'C',
    ...(agent === undefined ? {} : { SSH_AUTH_SOCK: agent }),
    ...(passphrase === undefined
      ? {}
      : {
          SSH_ASKPASS: join(folder, 'askpass'),
          SSH_ASKPASS_REQUIRE: 'force',
          SYNCLINE_PASSPHRASE: passphrase,
        }),
  };
}
