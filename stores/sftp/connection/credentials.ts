import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
// ssh2 is CommonJS, and Node finds `utils` only on its default export.
import ssh2, { type AuthenticationType, type ConnectConfig, type ParsedKey } from 'ssh2';
import type { SftpSettings } from '../settings.ts';
import { failure } from './errors.ts';
import { parseHostKeys, parseKnownHosts, type TrustedKeys } from './host-keys.ts';

/** The text of the private key, read anew each time so that an exchanged file counts. Null: none was given. */
export async function privateKeyOf(store: string, settings: SftpSettings): Promise<string | null> {
  if (settings.privateKey !== undefined) {
    // A file interpolated into YAML may have lost its last line feed, without which OpenSSH refuses it.
    return settings.privateKey.endsWith('\n') ? settings.privateKey : `${settings.privateKey}\n`;
  }
  if (settings.privateKeyFile === undefined) return null;
  try {
    return await readFile(settings.privateKeyFile, 'utf8');
  } catch (cause) {
    throw failure('store.authentication', store, {
      sentence: `The file of the private key of store ${store} cannot be read (${codeOf(cause)}).`,
      cause,
    });
  }
}

/** The part of ssh2's settings that logs in: key, agent, password, in this order. */
export async function loginOf(store: string, settings: SftpSettings): Promise<ConnectConfig> {
  const { agent, passphrase, password, user } = settings;
  const privateKey = await privateKeyOf(store, settings);
  if (privateKey !== null) expectReadable(store, privateKey, passphrase);
  const methods: AuthenticationType[] = [
    'none',
    ...(privateKey === null ? [] : (['publickey'] as const)),
    ...(agent === undefined ? [] : (['agent'] as const)),
    ...(password === undefined ? [] : (['password', 'keyboard-interactive'] as const)),
  ];
  return {
    username: user,
    authHandler: methods,
    ...(privateKey === null ? {} : { privateKey }),
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(agent === undefined ? {} : { agent }),
    ...(password === undefined ? {} : { password, tryKeyboard: true }),
  };
}

/** ssh2 would speak of it too, but with words that we could not tell from others. */
function expectReadable(store: string, privateKey: string, passphrase: string | undefined): void {
  const parsed: ParsedKey | ParsedKey[] | Error = ssh2.utils.parseKey(privateKey, passphrase);
  const key = parsed instanceof Error ? null : [parsed].flat()[0];
  if (key?.isPrivateKey() !== true) {
    throw failure('store.authentication', store, {
      sentence: `The private key of store ${store} cannot be read: it is none, or its passphrase is wrong or missing.`,
    });
  }
}

export async function trustedKeysOf(store: string, settings: SftpSettings): Promise<TrustedKeys> {
  const { hostKey, host, port } = settings;
  if (hostKey !== undefined) {
    return parseHostKeys(hostKey) ?? { keys: [], fingerprints: [], revoked: [] };
  }
  const file = settings.knownHosts ?? join(homedir(), '.ssh', 'known_hosts');
  try {
    return parseKnownHosts(await readFile(file, 'utf8'), { host, port });
  } catch (cause) {
    // The default file need not exist; then nobody is known. One that was named must.
    if (settings.knownHosts === undefined && codeOf(cause) === 'ENOENT') {
      return { keys: [], fingerprints: [], revoked: [] };
    }
    throw failure('store.hostKey', store, {
      sentence: `The file of known hosts of store ${store} cannot be read (${codeOf(cause)}).`,
      cause,
    });
  }
}

export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'no code';
}
