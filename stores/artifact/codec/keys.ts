import { createHash, createHmac, hkdfSync } from 'node:crypto';
import { SynclineError } from '../../../definitions/errors.ts';

export const keyBytes = 32;

/** Of a store's key: 16 hex digits, safe to show. */
export type KeyId = string;

/** Says which key it is without saying anything of use about it. Throws `definition.invalid` unless `key` has 32 bytes. */
export function keyIdOf(key: Buffer): KeyId {
  if (key.length !== keyBytes)
    throw new SynclineError('definition.invalid', `A key for encryption has ${keyBytes} bytes`);
  return createHash('sha256').update('syncline key id').update(key).digest('hex').slice(0, 16);
}

/**
 * Seal of a manifest: hex, SHA-256 of the text, or HMAC-SHA-256 with a key derived from the store's, which whoever only
 * can write to the store cannot make. `canonicalJson`: the same text for the same content.
 */
export function sealOf(canonicalJson: string, key: Buffer | null): string {
  if (key === null) return createHash('sha256').update(canonicalJson).digest('hex');
  return createHmac(
    'sha256',
    derive(key, { salt: Buffer.alloc(0), purpose: 'syncline manifest seal 1', bytes: 32 }),
  )
    .update(canonicalJson)
    .digest('hex');
}

export interface ObjectKey {
  readonly key: Buffer;
  /** First bytes of every nonce. */
  readonly noncePrefix: Buffer;
}

export const noncePrefixBytes = 7;

/** Key of one object: never used for another one, since its header ends with a random salt. All of the header counts. */
export function objectKeyOf(key: Buffer, header: Buffer): ObjectKey {
  const derived = derive(key, {
    salt: header,
    purpose: 'syncline object 1',
    bytes: keyBytes + noncePrefixBytes,
  });
  return { key: derived.subarray(0, keyBytes), noncePrefix: derived.subarray(keyBytes) };
}

interface Derivation {
  readonly salt: Buffer;
  readonly purpose: string;
  readonly bytes: number;
}

function derive(key: Buffer, { salt, purpose, bytes }: Derivation): Buffer {
  return Buffer.from(hkdfSync('sha256', key, salt, purpose, bytes));
}
