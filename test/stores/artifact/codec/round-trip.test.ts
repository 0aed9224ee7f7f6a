import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { blockBytes } from '../../../../stores/artifact/codec/blocks.ts';
import { decode } from '../../../../stores/artifact/codec/decode.ts';
import { encode } from '../../../../stores/artifact/codec/encode.ts';
import { headerBytes, tagBytes } from '../../../../stores/artifact/codec/seal.ts';
import { agreeing, bytesOf, compressions, cutAt, key, make, otherKey, read, rowLike } from './objects.ts';

const edges = [0, 1, blockBytes - 1, blockBytes, blockBytes + 1, 2 * blockBytes, 3 * blockBytes + 17];

describe.each(compressions)('an object with compression %s', (compression) => {
  test('comes back whole for any size, any cuts, encrypted or not', async () => {
    const sizes = fc.oneof(fc.constantFrom(...edges), fc.nat({ max: 3 * blockBytes }), fc.nat({ max: 3000 }));
    const cuts = fc.array(fc.integer({ min: 500, max: blockBytes + 500 }), { maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(
        fc.record({ size: sizes, into: cuts, outOf: cuts, encrypt: fc.boolean() }),
        async ({ size, into, outOf, encrypt }) => {
          const raw = rowLike(size, size + 1);
          const made = await make(cutAt(raw, into), { compression, key: encrypt ? key : null });
          expect(made.rawBytes).toBe(size);
          expect(made.expected.storedBytes).toBe(made.stored.length);
          expect(made.expected.sha256).toBe(createHash('sha256').update(made.stored).digest('hex'));
          const stored = Readable.from(cutAt(made.stored, outOf), { objectMode: false });
          const back = await bytesOf(decode(stored, made.expected, [otherKey, key]));
          expect(back.equals(raw)).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('comes back whole when it arrives byte by byte', async () => {
    const raw = rowLike(5000);
    for (const withKey of [null, key]) {
      const made = await make(raw, { compression, key: withKey });
      const stored = Readable.from(cutAt(made.stored, [1]), { objectMode: false });
      expect((await bytesOf(decode(stored, made.expected, [key]))).equals(raw)).toBe(true);
    }
  });

  test('keeps data that cannot be compressed', async () => {
    const raw = Buffer.alloc(2 * blockBytes + 5);
    let digest = Buffer.from('seed');
    for (let at = 0; at < raw.length; at += digest.copy(raw, at))
      digest = createHash('sha256').update(digest).digest();
    const made = await make(raw, { compression, key });
    expect(made.stored.length).toBeLessThan(raw.length * 1.001);
    expect((await read(made.stored, made.expected)).equals(raw)).toBe(true);
  });
});

test.each([
  ['zstd', 'zstd'],
  ['gzip', 'gzip'],
] as const)('what %s compression stores is read by the command %s', async (compression, command) => {
  const raw = rowLike(2 * blockBytes + 100);
  for (const rows of [raw, Buffer.alloc(0)]) {
    for (const level of [1, 6]) {
      const { stored } = await make(rows, { compression, level, key: null });
      const back = execFileSync(command, ['-d', '-c'], { input: stored, maxBuffer: 2 * raw.length });
      expect(back.equals(rows)).toBe(true);
    }
  }
});

test('gzip of several members, as other programs and our first version write it, comes back whole', async () => {
  const raw = rowLike(3 * blockBytes + 11);
  const { expected } = await make(raw, { compression: 'gzip', key: null });
  const stored = Buffer.concat(cutAt(raw, [blockBytes]).map((block) => gzipSync(block)));
  expect((await read(stored, agreeing(expected, stored))).equals(raw)).toBe(true);
});

test('levels from the fastest to the smallest come back', async () => {
  const raw = rowLike(blockBytes + 1000);
  for (const [compression, levels] of [
    ['zstd', [1, 3, 9, 19]],
    ['gzip', [1, 6, 9]],
  ] as const) {
    for (const level of levels) {
      const made = await make(raw, { compression, level, key: null });
      expect((await read(made.stored, made.expected)).equals(raw)).toBe(true);
    }
  }
});

test('a level or key that is none is refused at once', () => {
  const rows = Readable.from([]);
  for (const level of [0, 20, 1.5])
    expect(() => encode(rows, { compression: 'zstd', level, key: null })).toThrow('between 1 and 19');
  expect(() => encode(rows, { compression: 'none', key: Buffer.alloc(16) })).toThrow('32 bytes');
});

test('two objects of the same rows and key have nothing in common but the header', async () => {
  const raw = rowLike(1000);
  const one = await make(raw, { compression: 'none', key });
  const two = await make(raw, { compression: 'none', key });
  expect(one.stored.length).toBe(headerBytes + raw.length + tagBytes);
  expect(one.stored.subarray(0, 20).equals(two.stored.subarray(0, 20))).toBe(true);
  expect(one.stored.subarray(headerBytes, headerBytes + 16)).not.toEqual(
    two.stored.subarray(headerBytes, headerBytes + 16),
  );
  expect(one.stored.includes(raw.subarray(0, 16))).toBe(false);
});
