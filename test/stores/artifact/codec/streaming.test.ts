import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { SynclineError } from '../../../../definitions/errors.ts';
import { decode } from '../../../../stores/artifact/codec/decode.ts';
import { encode } from '../../../../stores/artifact/codec/encode.ts';
import { keyIdOf } from '../../../../stores/artifact/codec/keys.ts';
import { eventually } from '../../../support/eventually.ts';
import { bytesOf, compressions, key, make, rowLike } from './objects.ts';

const mebibyte = 1024 * 1024;
const kinds = compressions.flatMap((compression) =>
  [null, key].map((withKey) => ({
    compression,
    key: withKey,
    called: withKey === null ? 'plain' : 'encrypted',
  })),
);

interface Counted {
  readonly rows: Readable;
  readonly given: () => number;
}

/** Gives a piece only when asked, and counts what it gave. */
function countedSource(total: number): Counted {
  const piece = rowLike(256 * 1024);
  let given = 0;
  const rows = new Readable({
    highWaterMark: 256 * 1024,
    read() {
      const next = given < total ? piece : null;
      given += next?.length ?? 0;
      this.push(next);
    },
  });
  return { rows, given: () => given };
}

describe.each(kinds)('a $called stream of 300 MiB with compression $compression', (kind) => {
  test('is never more than a few MiB ahead of its reader, there and back', async () => {
    const total = 300 * mebibyte;
    const source = countedSource(total);
    const { stored, result } = encode(source.rows, kind);
    // What is stored is not known before the end; the hash is what the decoder would end with.
    const expected = {
      name: 'data/big/1',
      compression: kind.compression,
      storedBytes: Number.MAX_SAFE_INTEGER,
      sha256: '',
      encrypted: kind.key === null ? null : keyIdOf(kind.key),
    };
    let read = 0;
    let furthest = 0;
    const reading = (async () => {
      for await (const piece of decode(stored, expected, [key]) as AsyncIterable<Buffer>) {
        read += piece.length;
        furthest = Math.max(furthest, source.given() - read);
      }
    })();
    // The made-up length is refused after the last byte: proof that all of it went through.
    await expect(reading).rejects.toMatchObject({ code: 'artifact.corrupt' });
    const size = await result;
    expect(size.rawBytes).toBe(total);
    // A stored MiB of these rows is several raw ones; the buffers between count stored bytes.
    const ratio = Math.max(1, size.rawBytes / size.storedBytes);
    expect(furthest).toBeLessThan((8 + 6 * ratio) * mebibyte);
    expect(read).toBeGreaterThan(total - (8 + 6 * ratio) * mebibyte);
  });

  test('is not read on when nobody reads', async () => {
    const source = countedSource(300 * mebibyte);
    const { stored } = encode(source.rows, kind);
    stored.once('readable', () => undefined);
    await eventually(() => stored.readableLength >= stored.readableHighWaterMark);
    // Work in the same pool and loop, during which a stream that ran on would have run far.
    await bytesOf(encode(countedSource(40 * mebibyte).rows, kind).stored);
    expect(source.given()).toBeLessThan(24 * mebibyte);
    stored.destroy();
    await eventually(() => source.rows.destroyed);
  });
});

describe.each(kinds)('when a $called stream with compression $compression is left', (kind) => {
  test('its silent source is closed, and the result says that it was left', async () => {
    const rows = new Readable({ read: () => undefined });
    rows.push(rowLike(3 * mebibyte));
    const { stored, result } = encode(rows, kind);
    stored.resume();
    await eventually(() => rows.readableLength === 0);
    stored.destroy();
    await expect(result).rejects.toThrow('not read to its end');
    await eventually(() => rows.closed);
  });

  test('the silent object it is decoded from is closed', async () => {
    const made = await make(rowLike(3 * mebibyte), kind);
    const stored = new Readable({ read: () => undefined });
    stored.push(made.stored.subarray(0, made.stored.length - 10));
    const rows = decode(stored, made.expected, [key]);
    rows.once('readable', () => undefined);
    await eventually(() => stored.readableLength === 0);
    rows.destroy();
    await eventually(() => rows.closed && stored.closed);
    expect(stored.errored).toBeNull();
  });

  test('the error of its source comes through as itself', async () => {
    const problem = new SynclineError('store.connectionLost', 'gone');
    const rows = new Readable({ read: () => undefined });
    rows.push(rowLike(mebibyte + 10));
    const { stored, result } = encode(rows, kind);
    const reading = bytesOf(stored);
    setImmediate(() => rows.destroy(problem));
    await expect(reading).rejects.toBe(problem);
    await expect(result).rejects.toBe(problem);

    const made = await make(rowLike(3 * mebibyte), kind);
    const object = new Readable({ read: () => undefined });
    object.push(made.stored.subarray(0, made.stored.length - 10));
    const decoding = bytesOf(decode(object, made.expected, [key]));
    setImmediate(() => object.destroy(problem));
    await expect(decoding).rejects.toBe(problem);
  });

  test('a source that failed before anybody read ends the stream, not the process', async () => {
    const problem = new SynclineError('files.missing', 'not there');
    const rows = new Readable({ read: () => undefined });
    const { stored, result } = encode(rows, kind);
    rows.destroy(problem);
    await new Promise((resolve) => rows.once('close', resolve));
    await expect(bytesOf(stored)).rejects.toBe(problem);
    await expect(result).rejects.toBe(problem);
  });
});
