import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { pipeThrough } from '../../activities/pipe.ts';

describe('the pipe between reader and writer', () => {
  it('keeps an error that comes before the writer reads, and ends the reader', async () => {
    const source = Readable.from([Buffer.from('row')]);
    const { bytes } = pipeThrough(
      { format: 'text', framed: false, bytes: source },
      {
        onBytes: () => undefined,
        onFirst: () => Promise.reject(new Error('lost on the way')),
        signal: new AbortController().signal,
      },
    );
    await new Promise((resolve) => bytes.once('close', resolve));
    await expect(bytes.toArray()).rejects.toThrow('lost on the way');
    expect(source.destroyed).toBe(true);
  });

  it('hands on an error of the reader to a writer that comes late', async () => {
    const source = new Readable({ read: () => undefined });
    const { bytes } = pipeThrough(
      { format: 'text', framed: false, bytes: source },
      {
        onBytes: () => undefined,
        onFirst: () => Promise.resolve(),
        signal: new AbortController().signal,
      },
    );
    source.destroy(new Error('the session was lost'));
    await new Promise((resolve) => bytes.once('close', resolve));
    await expect(bytes.toArray()).rejects.toThrow('the session was lost');
  });
});
