import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { decode, type ExpectedObject } from '../../../../stores/artifact/codec/decode.ts';
import { keyIdOf } from '../../../../stores/artifact/codec/keys.ts';
import { headerBytes, segmentBytes, Segments, tagBytes } from '../../../../stores/artifact/codec/seal.ts';
import { agreeing, compressions, key, make, otherKey, read, rowLike, type Made } from './objects.ts';

const kinds = compressions.flatMap((compression) =>
  [null, key].map((withKey) => ({
    compression,
    key: withKey,
    called: withKey === null ? 'plain' : 'encrypted',
  })),
);

/** Reads to the error; it fails when the stream ends instead. */
async function expectRefused(
  stored: Buffer,
  expected: ExpectedObject,
  code = 'artifact.corrupt',
): Promise<void> {
  const stream = decode(Readable.from([stored], { objectMode: false }), expected, [key]);
  const ending = new Promise<unknown>((resolve) => {
    stream.on('error', resolve);
    stream.on('end', () => resolve('the end was seen'));
  });
  stream.resume();
  expect(await ending).toMatchObject({ code, message: expect.stringContaining(expected.name) as unknown });
}

describe.each(kinds)('a small $called object with compression $compression', (kind) => {
  test('is refused with any one bit flipped', async () => {
    const { stored, expected } = await make(rowLike(60), kind);
    for (let bit = 0; bit < stored.length * 8; bit += 1) {
      const damaged = Buffer.from(stored);
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      await expectRefused(damaged, expected);
    }
  });

  test('is refused when cut off at any byte, even if the manifest agreed with what is left', async () => {
    const { stored, expected } = await make(rowLike(200), kind);
    for (let length = 0; length < stored.length; length += 1) {
      const cut = stored.subarray(0, length);
      await expectRefused(cut, expected);
      if (kind.compression !== 'none' || kind.key !== null) await expectRefused(cut, agreeing(expected, cut));
    }
  });

  test('is refused when bytes are added anywhere', async () => {
    const { stored, expected } = await make(rowLike(60), kind);
    for (let at = 0; at <= stored.length; at += 1)
      for (const added of [Buffer.from([0]), Buffer.from('more'), stored])
        await expectRefused(Buffer.concat([stored.subarray(0, at), added, stored.subarray(at)]), expected);
  });
});

describe('segments of an encrypted object', () => {
  const sealedBytes = segmentBytes + tagBytes;

  async function threeSegments(seed = 1): Promise<Made & { parts: Buffer[] }> {
    const made = await make(rowLike(2 * segmentBytes + 100, seed), { compression: 'none', key });
    const body = made.stored.subarray(headerBytes);
    const parts = [0, 1, 2].map((n) => body.subarray(n * sealedBytes, (n + 1) * sealedBytes));
    return { ...made, parts: [made.stored.subarray(0, headerBytes), ...parts] };
  }

  /** With a hash that agrees: the segments themselves have to tell. */
  async function expectOrderRefused(made: Made, parts: readonly (Buffer | undefined)[]): Promise<void> {
    const stored = Buffer.concat(parts.filter((part) => part !== undefined));
    await expectRefused(stored, agreeing(made.expected, stored));
  }

  test('are refused when exchanged, doubled, left out or cut off', async () => {
    const made = await threeSegments();
    const [header, a, b, last] = made.parts;
    expect((await read(made.stored, made.expected)).length).toBe(2 * segmentBytes + 100);
    await expectOrderRefused(made, [header, b, a, last]);
    await expectOrderRefused(made, [header, a, a, b, last]);
    await expectOrderRefused(made, [header, a, last]);
    await expectOrderRefused(made, [header, b, last]);
    await expectOrderRefused(made, [header, a, b]);
    await expectOrderRefused(made, [header, a, b, last, last]);
    await expectOrderRefused(made, [header, last]);
    await expectOrderRefused(made, [header]);
  });

  test('are refused when taken from another object of the same key', async () => {
    const made = await threeSegments();
    const other = await threeSegments(2);
    const [header, a, , last] = made.parts;
    await expectOrderRefused(made, [header, a, other.parts[2], last]);
    await expectOrderRefused(made, [other.parts[0], ...made.parts.slice(1)]);
    await expectRefused(other.stored, made.expected);
  });

  test('have a last number, after which neither side goes on', () => {
    const header = Buffer.alloc(headerBytes, 1);
    const most = 2 ** 32;
    const [sealed, tag] = [...new Segments(header, key, most - 1).seal(Buffer.from('row'), true)];
    const segment = Buffer.concat([sealed ?? Buffer.alloc(0), tag ?? Buffer.alloc(0)]);
    const reader = new Segments(header, key, most - 1);
    expect(reader.open(segment, true, 'data/1').toString()).toBe('row');
    expect(() => reader.open(segment, true, 'data/1')).toThrow('more segments');
    expect(() => [...new Segments(header, key, most).seal(Buffer.from('row'), true)]).toThrow('4 PiB');
  });

  test('end with an empty one only when the object is empty', () => {
    const header = Buffer.alloc(headerBytes, 1);
    const empty = Buffer.concat([...new Segments(header, key, 1).seal(Buffer.alloc(0), true)]);
    expect(() => new Segments(header, key, 1).open(empty, true, 'data/1')).toThrow('cut off');
  });
});

test('the key that is missing is named, and nothing of the object is given out', async () => {
  const made = await make(rowLike(100), { compression: 'zstd', key });
  await expect(read(made.stored, made.expected, [otherKey])).rejects.toMatchObject({
    code: 'artifact.wrongKey',
    message: expect.stringContaining(keyIdOf(key)) as unknown,
  });
  await expect(read(made.stored, made.expected, [])).rejects.toMatchObject({ code: 'artifact.wrongKey' });
});

test('an object made with another key than its manifest says is refused', async () => {
  const made = await make(rowLike(100), { compression: 'none', key: otherKey });
  await expectRefused(made.stored, { ...made.expected, encrypted: keyIdOf(key) });
});
