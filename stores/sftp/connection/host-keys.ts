import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { ServerHostKeyAlgorithm } from 'ssh2';

/** Which host keys are trusted, and where that was read. There is no way to trust any key. */
export interface TrustedKeys {
  /** Public keys as they are on the wire. */
  readonly keys: readonly Buffer[];
  /** SHA-256 of public keys, base64 without padding. */
  readonly fingerprints: readonly string[];
  /** Never trusted, whatever else is said of them. */
  readonly revoked: readonly Buffer[];
}

export type Judgement = 'trusted' | 'unknown' | 'changed' | 'revoked';

const keyTypes = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'ssh-rsa',
] as const;
type KeyType = (typeof keyTypes)[number];

const algorithmsOf: Readonly<Record<KeyType, readonly ServerHostKeyAlgorithm[]>> = {
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
  // The name of the key stands for its type; signatures with SHA-1 are not taken.
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256'],
};

/** The setting `hostKey`; null when a line is neither a public key nor a fingerprint. */
export function parseHostKeys(setting: string | readonly string[]): TrustedKeys | null {
  const lines = (typeof setting === 'string' ? [setting] : setting)
    .flatMap((text) => text.split('\n'))
    .map((text) => text.trim())
    .filter((text) => text !== '' && !text.startsWith('#'));
  const keys: Buffer[] = [];
  const fingerprints: string[] = [];
  for (const line of lines) {
    const fingerprint = /^SHA256:([A-Za-z0-9+/]{43})=?$/.exec(line)?.[1];
    if (fingerprint !== undefined) {
      fingerprints.push(fingerprint);
      continue;
    }
    const [type = '', body = ''] = line.split(/\s+/);
    const key = parseKey(type, body);
    if (key === null) return null;
    keys.push(key);
  }
  return keys.length + fingerprints.length === 0 ? null : { keys, fingerprints, revoked: [] };
}

/**
 * What a known_hosts file says of one server: plain, wildcard, negated and hashed names, `[host]:port`, `@revoked`.
 * Certificates (`@cert-authority`) are not understood, so their lines trust nobody.
 */
export function parseKnownHosts(text: string, server: { host: string; port: number }): TrustedKeys {
  const host = server.host.toLowerCase();
  const name = server.port === 22 ? host : `[${host}]:${String(server.port)}`;
  const keys: Buffer[] = [];
  const revoked: Buffer[] = [];
  for (const line of text.split('\n')) {
    const fields = line.trim().split(/\s+/);
    if (fields[0] === '' || fields[0]?.startsWith('#') === true) continue;
    const marker = fields[0]?.startsWith('@') === true ? fields.shift() : undefined;
    const [names = '', type = '', body = ''] = fields;
    if (marker !== undefined && marker !== '@revoked') continue;
    if (!namesHost(names, name)) continue;
    const key = parseKey(type, body);
    if (key !== null) (marker === undefined ? keys : revoked).push(key);
  }
  return { keys, fingerprints: [], revoked };
}

export function judgeHostKey(shown: Buffer, trusted: TrustedKeys): Judgement {
  if (trusted.revoked.some((key) => key.equals(shown))) return 'revoked';
  if (trusted.keys.some((key) => key.equals(shown))) return 'trusted';
  if (trusted.fingerprints.includes(fingerprintOf(shown))) return 'trusted';
  return trusted.keys.length + trusted.fingerprints.length === 0 ? 'unknown' : 'changed';
}

/** What to ask the server for: a key of a type that is known, else any, so that its fingerprint can be told. */
export function hostKeyAlgorithms(trusted: TrustedKeys): ServerHostKeyAlgorithm[] {
  const known = keyTypes.filter((type) => trusted.keys.some((key) => typeOfKey(key) === type));
  const wanted = known.length === 0 || trusted.fingerprints.length > 0 ? [...keyTypes] : known;
  return wanted.flatMap((type) => algorithmsOf[type]);
}

/** As `ssh-keygen -l` shows it, without `SHA256:`. */
export function fingerprintOf(key: Buffer): string {
  return createHash('sha256').update(key).digest('base64').replace(/=+$/, '');
}

/** `ssh-ed25519`, …; '?' when the bytes are no public key. */
export function typeOfKey(key: Buffer): string {
  if (key.length < 4) return '?';
  const length = key.readUInt32BE(0);
  return length > 64 || length + 4 > key.length ? '?' : key.toString('latin1', 4, 4 + length);
}

function parseKey(type: string, body: string): Buffer | null {
  if (!/^[A-Za-z0-9+/]+=*$/.test(body)) return null;
  const key = Buffer.from(body, 'base64');
  return typeOfKey(key) === type ? key : null;
}

function namesHost(names: string, host: string): boolean {
  if (names.startsWith('|')) return hashedNameIs(names, host);
  let named = false;
  for (const pattern of names.split(',')) {
    const negated = pattern.startsWith('!');
    if (!wildcardMatches(negated ? pattern.slice(1) : pattern, host)) continue;
    if (negated) return false;
    named = true;
  }
  return named;
}

function hashedNameIs(names: string, host: string): boolean {
  const [, version, salt = '', hash = ''] = names.split('|');
  if (version !== '1') return false;
  const expected = createHmac('sha1', Buffer.from(salt, 'base64')).update(host).digest();
  const found = Buffer.from(hash, 'base64');
  return found.length === expected.length && timingSafeEqual(found, expected);
}

function wildcardMatches(pattern: string, host: string): boolean {
  const source = pattern
    .toLowerCase()
    .replaceAll(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`).test(host);
}
