import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { blockBytes } from '../../../../stores/artifact/codec/blocks.ts';
import { frameBlocksAtMost, frameExtent } from '../../../../stores/artifact/codec/zstd-frame.ts';
import { nodeZstd, packagedZstd } from '../../../../stores/artifact/codec/zstd.ts';
import { agreeing, make, read, rowLike } from './objects.ts';

/** A frame without content size, window of 1 MiB, whose blocks are runs of one byte. */
function runs(lengths: readonly number[]): Buffer {
  const blocks = lengths.map((length, n) => {
    const block = Buffer.alloc(4);
    block.writeUIntLE((length << 3) | (1 << 1) | (n === lengths.length - 1 ? 1 : 0), 0, 3);
    return block;
  });
  return Buffer.concat([Buffer.from('28b52ffd0050', 'hex'), ...blocks]);
}

/** Compressed blocks of two bytes: what comes out is not known from outside. */
function opaqueBlocks(count: number): Buffer {
  const block = Buffer.from([(2 << 3) | (2 << 1), 0, 0, 0, 0]);
  return Buffer.concat([Buffer.from('28b52ffd0050', 'hex'), ...Array.from({ length: count }, () => block)]);
}

describe('the extent of a zstd frame', () => {
  test('is found wherever the bytes are cut, and never beyond the frame', async () => {
    const made = await make(rowLike(300_000), { compression: 'zstd', key: null });
    const frame = made.stored;
    expect(frameExtent(frame)).toMatchObject({ state: 'whole', bytes: frame.length });
    expect(frameExtent(Buffer.concat([frame, frame]))).toMatchObject({ bytes: frame.length });
    for (let length = 0; length < frame.length; length += length < 64 ? 1 : 997)
      expect(frameExtent(frame.subarray(0, length))).toEqual({ state: 'more' });
  });

  test('is an answer, not an exception, for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (noise, begun) => {
        const bytes = Buffer.concat([begun ? Buffer.from('28b52ffd', 'hex') : Buffer.alloc(0), noise]);
        expect(['whole', 'more', 'wrong']).toContain(frameExtent(bytes).state);
      }),
      { numRuns: 2000 },
    );
  });

  test('is refused when more could come out than goes in', () => {
    expect(frameExtent(runs([131072, 131072]))).toMatchObject({ state: 'whole' });
    expect(frameExtent(runs(Array.from({ length: 9 }, () => 131072)))).toMatchObject({ state: 'wrong' });
    expect(frameExtent(runs([2 * blockBytes - 1]))).toMatchObject({ state: 'wrong' });
    expect(frameExtent(opaqueBlocks(frameBlocksAtMost))).toMatchObject({ state: 'wrong' });
    // Declared content of 16 MiB, window of 128 MiB, a dictionary, a reserved bit.
    for (const header of [
      '28b52ffd8050000000010100',
      '28b52ffd0088010000',
      '28b52ffd015001010000',
      '28b52ffd0850010000',
    ])
      expect(frameExtent(Buffer.from(header, 'hex'))).toMatchObject({ state: 'wrong' });
  });
});

test('a small object that would become gigabytes is refused before it does', async () => {
  const bomb = runs(Array.from({ length: 20_000 }, () => 131072));
  const { expected } = await make(Buffer.alloc(0), { compression: 'zstd', key: null });
  await expect(read(bomb, agreeing(expected, bomb))).rejects.toMatchObject({ code: 'artifact.corrupt' });
});

test('one that lies about its blocks is refused by its size', async () => {
  const zstd = nodeZstd() ?? (await packagedZstd());
  const frame = await zstd.compress(Buffer.alloc(blockBytes + 200_000), 1);
  const { expected } = await make(Buffer.alloc(0), { compression: 'zstd', key: null });
  await expect(read(frame, agreeing(expected, frame))).rejects.toMatchObject({ code: 'artifact.corrupt' });
});

test("what the package writes Node's own zstd reads, and the reverse, where there is one", async () => {
  const packaged = await packagedZstd();
  const own = nodeZstd() ?? packaged;
  const block = rowLike(blockBytes);
  for (const [writer, reader] of [
    [packaged, own],
    [own, packaged],
  ] as const) {
    for (const level of [1, 9]) {
      const frame = await writer.compress(block, level);
      expect(frameExtent(frame)).toMatchObject({ state: 'whole', bytes: frame.length });
      expect((await reader.decompress(frame)).equals(block)).toBe(true);
    }
  }
});
