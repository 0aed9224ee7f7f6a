import { describe, expect, it } from 'vitest';
import { cutParts, partBytes } from '../../../stores/s3/parts.ts';

const mebibyte = 1024 * 1024;

async function cut(pieces: readonly Buffer[], bytes?: number): Promise<[number, number, boolean][]> {
  const found: [number, number, boolean][] = [];
  const source = (async function* () {
    for (const piece of pieces) yield await Promise.resolve(piece);
  })();
  for await (const { number, content, last } of cutParts(source, bytes))
    found.push([number, content.length, last]);
  return found;
}

describe('the parts of an upload', () => {
  it('hold the biggest object that S3 takes, 5 TiB, in 10,000 parts of at most 5 GiB', () => {
    const whole = 5 * 1024 * 1024 * mebibyte;
    expect(partBytes(1, whole) * 10_000).toBeGreaterThanOrEqual(whole);
    expect(partBytes(1, whole)).toBeLessThan(5 * 1024 * mebibyte);
  });

  it('are small for the objects that backups have', () => {
    expect(partBytes(1, 2_000_000_000)).toBe(8 * mebibyte);
    expect(partBytes(1, undefined)).toBe(8 * mebibyte);
  });

  it('grow late in a body whose size nobody told, so that 300 GB fit', () => {
    let bytes = 0;
    for (let part = 1; part <= 10_000; part += 1) bytes += partBytes(part, undefined);
    expect(bytes).toBeGreaterThan(300_000_000_000);
  });

  it('are cut at the same places whatever the pieces, and the last one is known', async () => {
    const whole = Buffer.alloc(20 * mebibyte);
    const expected = [
      [1, 8 * mebibyte, false],
      [2, 8 * mebibyte, false],
      [3, 4 * mebibyte, true],
    ];
    expect(await cut([whole])).toEqual(expected);
    const thirds = [0, 1, 2].map((third) =>
      whole.subarray((third * whole.length) / 3, ((third + 1) * whole.length) / 3),
    );
    expect(await cut(thirds)).toEqual(expected);
    expect(await cut([whole.subarray(0, 8 * mebibyte)])).toEqual([[1, 8 * mebibyte, true]]);
    expect(await cut([])).toEqual([[1, 0, true]]);
  });
});
