import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { expect, it } from 'vitest';
import { RowCounter } from '../../../stores/artifact/write/frames.ts';
import type { RowFormat } from '../../../stores/spi/rows.ts';
import { contentOf } from '../../conformance/streams.ts';

const head = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]);
const trailer = Buffer.from([0xff, 0xff]);
const row = Buffer.from([0, 1, 0, 0, 0, 1, 65]);
/** Of a table without columns. */
const empty = Buffer.from([0, 0]);

function frame(payload: Buffer): Buffer {
  const header = Buffer.alloc(5);
  header[0] = 0x64;
  header.writeUInt32BE(payload.length + 4, 1);
  return Buffer.concat([header, payload]);
}

async function counted(format: RowFormat, payloads: readonly Buffer[], size: number): Promise<number> {
  const all = Buffer.concat(payloads.map(frame));
  const pieces: Buffer[] = [];
  for (let at = 0; at < all.length; at += size) pieces.push(all.subarray(at, at + size));
  const counter = new RowCounter(format);
  const [content] = await Promise.all([
    contentOf(counter),
    pipeline(Readable.from(pieces, { objectMode: false }), counter),
  ]);
  expect(content).toEqual(Buffer.concat(payloads));
  return counter.rows;
}

it.each([1, 2, 3, 7, 1_000])('counts the messages that hold a row, in pieces of %i bytes', async (size) => {
  const withHead = (payload: Buffer): Buffer => Buffer.concat([head, payload]);
  expect(await counted('binary', [withHead(row), row, row, trailer], size)).toBe(3);
  expect(await counted('binary', [head, row, trailer], size)).toBe(1);
  expect(await counted('binary', [withHead(trailer)], size)).toBe(0);
  expect(await counted('binary', [head, trailer], size)).toBe(0);
  expect(await counted('binary', [withHead(empty), empty, trailer], size)).toBe(2);
  expect(await counted('text', [Buffer.from('a\n'), Buffer.from('\n'), Buffer.from('\xff\xff')], size)).toBe(
    3,
  );
  expect(await counted('csv', [], size)).toBe(0);
});

it('fails when the rows end within a message, or hold another message', async () => {
  const cut = frame(row).subarray(0, -1);
  for (const piece of [cut, Buffer.from([0x63, 0, 0, 0, 4])])
    await expect(
      pipeline(Readable.from([piece], { objectMode: false }), new RowCounter('binary').resume()),
    ).rejects.toMatchObject({ code: 'internal.unexpected' });
});
