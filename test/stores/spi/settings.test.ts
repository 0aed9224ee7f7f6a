import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { directorySettings } from '../../../stores/directory/settings.ts';
import { directoryModule } from '../../../stores/directory/module.ts';
import { s3Settings } from '../../../stores/s3/settings.ts';
import { encryptionSetting, EncryptionKeys } from '../../../stores/spi/settings.ts';

const bytes = Buffer.from(Array.from({ length: 32 }, (_, index) => index * 8));

describe('the encryption of a file store', () => {
  it.each([
    ['hex', bytes.toString('hex')],
    ['hex in capitals', bytes.toString('hex').toUpperCase()],
    ['base64', bytes.toString('base64')],
    ['base64 for URLs', bytes.toString('base64url')],
  ])('takes a key as %s', (_how, key) => {
    const keys = encryptionSetting.parse({ key, earlier: [key] });
    expect(keys?.key.equals(bytes)).toBe(true);
    expect(keys?.earlier.map((earlier) => earlier.equals(bytes))).toEqual([true]);
  });

  it.each([
    '',
    'ab'.repeat(31),
    'ab'.repeat(33),
    'xy'.repeat(32),
    bytes.subarray(1).toString('base64'),
    '${KEY}',
  ])('refuses the key %j without repeating it', (key) => {
    const { error } = encryptionSetting.safeParse({ key });
    const [issue] = error?.issues ?? [];
    expect(issue?.path).toEqual(['key']);
    if (key !== '') expect(JSON.stringify(issue)).not.toContain(key);
  });

  it('shows its keys to nobody who did not ask for them by name', () => {
    const keys = new EncryptionKeys(bytes, [bytes]);
    const store = directoryModule.open('disk', { kind: 'directory', path: '/tmp/none', encryption: keys });
    expect(store.encryption?.key).toBe(bytes);
    for (const shown of [JSON.stringify(store), inspect(store, { depth: 9, showHidden: true })]) {
      expect(shown).not.toContain(bytes.toString('hex').slice(0, 8));
      expect(shown).not.toContain('08 10 18');
      expect(shown).not.toContain('8,16,24');
    }
  });
});

describe('the settings of a file store', () => {
  it('a directory needs an absolute path', () => {
    expect(directorySettings.safeParse({ kind: 'directory', path: 'here' }).success).toBe(false);
    const entry = { kind: 'directory', path: '/var/backups', taskQueue: 'near-disk' };
    expect(directorySettings.parse(entry)).toEqual(entry);
  });

  it.each(['../x', '/x', 'a//b', '.x'])('a bucket does not take the prefix %j', (prefix) => {
    expect(s3Settings.safeParse({ kind: 's3', bucket: 'b', prefix }).success).toBe(false);
  });

  it('a bucket takes a prefix with or without a slash at its end, and access key and secret together', () => {
    const bucket = { kind: 's3', bucket: 'b' };
    expect(s3Settings.parse({ ...bucket, prefix: 'trades/' }).prefix).toBe('trades');
    expect(s3Settings.parse(bucket).prefix).toBe('');
    expect(s3Settings.safeParse({ ...bucket, accessKeyId: 'a' }).success).toBe(false);
    expect(s3Settings.safeParse({ ...bucket, accessKeyId: 'a', secretAccessKey: 'b' }).success).toBe(true);
  });
});
