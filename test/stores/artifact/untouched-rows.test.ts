import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readKeys, UntouchedRows } from '../../../stores/artifact/read/untouched-rows.ts';
import { contentOf } from '../../conformance/streams.ts';

const head = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]);
const trailer = Buffer.from([0xff, 0xff]);

type Value = Uint8Array | null;

function field(value: Value): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(value === null ? -1 : value.length);
  return value === null ? length : Buffer.concat([length, value]);
}

function rowOf(values: readonly Value[]): Buffer {
  const count = Buffer.alloc(2);
  count.writeInt16BE(values.length);
  return Buffer.concat([count, ...values.map(field)]);
}

function keyOf(row: readonly Value[], at: readonly number[]): string {
  return Buffer.concat(at.map((column) => field(row[column] ?? null))).toString('latin1');
}

function cut(bytes: Buffer, size: number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let from = 0; from < bytes.length; from += size) pieces.push(bytes.subarray(from, from + size));
  return pieces;
}

async function through(filter: UntouchedRows, pieces: readonly Buffer[]): Promise<Buffer> {
  const [content] = await Promise.all([
    contentOf(filter),
    pipeline(Readable.from(pieces, { objectMode: false }), filter),
  ]);
  return content;
}

const value = fc.option(fc.uint8Array({ maxLength: 12 }), { nil: null });
const rows = fc.array(fc.tuple(fc.uint8Array({ maxLength: 2 }), value, fc.uint8Array({ maxLength: 3 })), {
  maxLength: 30,
});

describe('rows that were not touched', () => {
  it('are those whose key is not among the keys, byte by byte, in whatever pieces they come', async () => {
    await fc.assert(
      fc.asyncProperty(
        rows,
        fc.integer({ min: 1, max: 40 }),
        fc.infiniteStream(fc.boolean()),
        async (all, size, draw) => {
          const at = [2, 0];
          const keys = new Set(all.filter(() => draw.next().value).map((row) => keyOf(row, at)));
          const stay = all.filter((row) => !keys.has(keyOf(row, at)));
          const filter = new UntouchedRows(keys, at);
          const content = await through(filter, cut(Buffer.concat([head, ...all.map(rowOf), trailer]), size));
          expect(content).toEqual(Buffer.concat([head, ...stay.map(rowOf), trailer]));
          expect(filter.rows).toBe(stay.length);
        },
      ),
    );
  });

  it('may be bigger than any piece', async () => {
    const big = [Buffer.from('k'), Buffer.alloc(3_000_000, 1)];
    const filter = new UntouchedRows(new Set([keyOf([Buffer.from('gone')], [0])]), [0]);
    const all = Buffer.concat([head, rowOf(big), rowOf([Buffer.from('gone'), null]), trailer]);
    const content = await through(filter, cut(all, 65_536));
    expect(content.equals(Buffer.concat([head, rowOf(big), trailer]))).toBe(true);
  });

  it.each([
    ['within the header', head.subarray(0, 10)],
    ['without a trailer', Buffer.concat([head, rowOf([Buffer.from('a')])])],
    ['within a row', Buffer.concat([head, rowOf([Buffer.from('abc')]).subarray(0, 7)])],
    ['after more than there should be', Buffer.concat([head, trailer, Buffer.from('x')])],
  ])('are refused when they end %s', async (_where, bytes) => {
    await expect(through(new UntouchedRows(new Set(), [0]), [bytes])).rejects.toMatchObject({
      code: 'artifact.corrupt',
    });
  });
});

describe('keys of touched rows', () => {
  it('are read back as they were written, and refused when one is cut off', () => {
    const keys = [
      [Buffer.from('a'), Buffer.from('')],
      [Buffer.from('b'), Buffer.from([0, 255])],
    ];
    const bytes = Buffer.concat(keys.flatMap((key) => key.map(field)));
    expect([...readKeys(bytes, 2, 'object')]).toEqual(keys.map((key) => keyOf(key, [0, 1])));
    expect(() => readKeys(bytes.subarray(0, bytes.length - 1), 2, 'object')).toThrow(/within a key/);
    expect(() => readKeys(bytes.subarray(0, 3), 2, 'object')).toThrow(/within a key/);
  });
});
