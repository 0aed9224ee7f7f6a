import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { SynclineError } from '../../../definitions/errors.ts';
import type { OpenReading, UnitReading } from '../../spi/chunk-source.ts';
import type { Digest, RowStream, SnapshotMark } from '../../spi/rows.ts';
import type { Entry } from '../backup/entry.ts';
import type { Place } from '../objects/place.ts';
import { readObject } from '../objects/sealed.ts';
import { CountedRows, JoinedRows } from './joined-rows.ts';

/** At least one entry: those of a slice, of a whole chunk, or of all slices of a chunk that is wanted whole. */
export interface HeldEntries {
  readonly first: Entry;
  readonly entries: readonly Entry[];
}

/** One unit out of a backup: what the manifest says is what is expected, and the rows are held against it. */
export class BackupReading implements UnitReading {
  readonly mark: SnapshotMark;
  readonly announced: { readonly rows: number; readonly bytes: number; readonly digest: Digest | null };
  private readonly place: Place;
  private readonly held: HeldEntries;
  private readonly request: OpenReading;
  private readonly stop = new AbortController();
  private readonly onAbort = (): void => this.stop.abort(this.request.signal.reason);
  private reading: Promise<void> | null = null;

  constructor(place: Place, held: HeldEntries, request: OpenReading) {
    this.place = place;
    this.held = held;
    this.request = request;
    this.mark = held.first.held.mark;
    this.announced = {
      rows: held.entries.reduce((sum, entry) => sum + entry.held.rows, 0),
      bytes: held.entries.reduce((sum, entry) => sum + entry.held.bytes, 0),
      // Digests of slices are opaque here: they do not add up.
      digest: held.entries.length === 1 ? held.first.held.digest : null,
    };
    request.signal.addEventListener('abort', this.onAbort, { once: true });
    if (request.signal.aborted) this.onAbort();
  }

  rows(): RowStream {
    const out = new PassThrough({ highWaterMark: 256 * 1024 });
    // It may fail before anybody reads; the reader meets the error at its first read.
    out.on('error', () => undefined);
    // Whoever takes no more rows ends the reading.
    out.once('close', () => this.stop.abort());
    this.reading = this.readAll(out);
    this.reading.catch((error: unknown) => {
      out.destroy(
        error instanceof Error ? error : new Error('the backup could not be read', { cause: error }),
      );
    });
    return { format: this.request.plan.format, framed: false, bytes: out };
  }

  async copied(): Promise<{ readonly rows: number; readonly bytes: number }> {
    if (this.reading === null) throw new SynclineError('internal.unexpected', 'copied() before rows().');
    await this.reading;
    return { rows: this.announced.rows, bytes: this.announced.bytes };
  }

  digest(): Promise<Digest | null> {
    return Promise.resolve(this.announced.digest);
  }

  async close(): Promise<void> {
    this.request.signal.removeEventListener('abort', this.onAbort);
    this.stop.abort();
    await this.reading?.catch(() => undefined);
  }

  private async readAll(out: PassThrough): Promise<void> {
    const { entries } = this.held;
    for (const [index, entry] of entries.entries()) {
      await this.readOne(entry, out, { isFirst: index === 0, isLast: index === entries.length - 1 });
    }
    out.end();
  }

  /** The end of the rows is passed on only after all of them were the right ones. */
  private async readOne(
    { held }: Entry,
    out: PassThrough,
    part: { readonly isFirst: boolean; readonly isLast: boolean },
  ): Promise<void> {
    const { signal } = this.stop;
    const counted = new CountedRows();
    const rows = await readObject(this.place, held.object, signal);
    const joined = part.isFirst && part.isLast ? [] : [new JoinedRows(this.request.plan.format, part)];
    await pipeline([rows, counted, ...joined, out], { end: false, signal });
    if (counted.bytes === held.bytes) return;
    throw new SynclineError(
      'artifact.corrupt',
      `${this.place.full(held.object.key)}: it holds ${String(counted.bytes)} bytes of rows instead of ${String(held.bytes)}.`,
    );
  }
}
