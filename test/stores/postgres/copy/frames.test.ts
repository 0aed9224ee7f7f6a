import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { copyDataHeader, FrameWalker, Unframer } from '../../../../stores/postgres/copy/frames.ts';

const copyData = 0x64;
const notice = 0x4e;
const parameter = 0x53;
const copyDone = 0x63;
const errorResponse = 0x45;

function message(type: number, body: Uint8Array): Buffer {
  const header = Buffer.alloc(5);
  header[0] = type;
  header.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

/** Messages of the server while rows flow, ended by CopyDone or an error, with bytes of later messages behind. */
const stream = fc.record({
  messages: fc.array(
    fc.record({
      type: fc.constantFrom(copyData, copyData, copyData, notice, parameter),
      body: fc.uint8Array({ maxLength: 40 }),
    }),
    { maxLength: 20 },
  ),
  last: fc.constantFrom(copyDone, errorResponse),
  after: fc.uint8Array({ maxLength: 20 }),
  cuts: fc.array(fc.nat({ max: 900 }), { maxLength: 40 }),
});

function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const borders = [...new Set([0, ...cuts.filter((cut) => cut < bytes.length), bytes.length])].sort(
    (a, b) => a - b,
  );
  return borders.slice(1).map((end, index) => bytes.subarray(borders[index], end));
}

describe('FrameWalker', () => {
  it('gives the same rows, counts, other messages and rest, wherever the socket cuts the bytes', () => {
    fc.assert(
      fc.property(stream, ({ messages, last, after, cuts }) => {
        const framed = messages.map(({ type, body }) => ({ type, bytes: message(type, body), body }));
        const rows = framed.filter(({ type }) => type === copyData);
        const end = message(last, new Uint8Array());
        const bytes = Buffer.concat([...framed.map((each) => each.bytes), end, after]);
        const data: Buffer[] = [];
        const others: Buffer[] = [];
        const rest: Buffer[] = [];
        let left = false;
        const walker = new FrameWalker({
          data: (run) => data.push(Buffer.from(run)),
          other: (type, whole) => {
            expect(whole[0]).toBe(type);
            others.push(Buffer.from(whole));
            return type === last ? 'leave' : 'go-on';
          },
        });
        for (const piece of pieces(bytes, cuts)) {
          const behind = left ? piece : walker.feed(piece);
          if (behind === null) continue;
          left = true;
          rest.push(Buffer.from(behind));
        }
        expect(left).toBe(true);
        expect(Buffer.concat(data)).toEqual(Buffer.concat(rows.map((row) => row.bytes)));
        expect(walker.frames).toBe(rows.length);
        expect(walker.payloadBytes).toBe(rows.reduce((sum, row) => sum + row.body.length, 0));
        expect(Buffer.concat(others)).toEqual(
          Buffer.concat([...framed.filter(({ type }) => type !== copyData).map((each) => each.bytes), end]),
        );
        expect(Buffer.concat(rest)).toEqual(Buffer.from(after));
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('Unframer', () => {
  it('leaves the bare payload, wherever the run is cut', () => {
    const rows = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 });
    fc.assert(
      fc.property(rows, fc.array(fc.nat({ max: 900 }), { maxLength: 40 }), (bodies, cuts) => {
        const unframer = new Unframer();
        const run = Buffer.concat(bodies.map((body) => message(copyData, body)));
        const payload = pieces(run, cuts).map((piece) => Buffer.from(unframer.payloadOf(piece)));
        expect(Buffer.concat(payload)).toEqual(Buffer.concat(bodies));
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('copyDataHeader', () => {
  it('is what the walker reads back', () => {
    const walker = new FrameWalker({ data: () => undefined, other: () => 'go-on' });
    walker.feed(Buffer.concat([copyDataHeader(3), Buffer.from('abc')]));
    expect([walker.frames, walker.payloadBytes]).toEqual([1, 3]);
  });
});
