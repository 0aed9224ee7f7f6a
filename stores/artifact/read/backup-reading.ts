import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { SynclineError } from '../../../definitions/errors.ts';
import type { OpenReading, UnitReading } from '../../spi/chunk-source.ts';
import type { Digest, RowStream, SnapshotMark } from '../../spi/rows.ts';
import type { Entry } from '../backup/entry.ts';
import { collect, type Place } from '../objects/place.ts';
import { readObject, type StoredRef } from '../objects/sealed.ts';
import { CountedRows, JoinedRows } from './joined-rows.ts';
import { readKeys, UntouchedRows } from './untouched-rows.ts';

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
    const objects = this.held.entries.flatMap((entry) => objectsOfRows(entry));
    let rows = 0;
    for (const [index, object] of objects.entries()) {
      rows += await this.readOne(object, out, { isFirst: index === 0, isLast: index === objects.length - 1 });
    }
    const changed = this.held.entries.filter(({ held }) => held.changes !== undefined);
    const expected = changed.reduce((sum, { held }) => sum + held.rows, 0);
    if (rows !== expected) {
      const key = changed[0]?.held.object.key ?? '';
      throw this.corrupt(key, `${String(rows)} rows with its changes instead of ${String(expected)}`);
    }
    out.end();
  }

  /** The end of the rows is passed on only after all of them were the right ones. */
  private async readOne(
    object: ObjectOfRows,
    out: PassThrough,
    part: { readonly isFirst: boolean; readonly isLast: boolean },
  ): Promise<number> {
    const { signal } = this.stop;
    const counted = new CountedRows();
    const untouched = object.without === null ? null : await this.without(object.without);
    const rows = await readObject(this.place, object.ref, signal);
    const joined = part.isFirst && part.isLast ? [] : [new JoinedRows(this.request.plan.format, part)];
    const between = untouched === null ? joined : [untouched, ...joined];
    await pipeline([rows, counted, ...between, out], { end: false, signal });
    if (counted.bytes === object.bytes) return object.rows + (untouched?.rows ?? 0);
    throw this.corrupt(
      object.ref.key,
      `${String(counted.bytes)} bytes of rows instead of ${String(object.bytes)}`,
    );
  }

  private async without({ columns, keys }: Changes): Promise<UntouchedRows> {
    const name = this.place.full(keys.key);
    const bytes = await collect(await readObject(this.place, keys, this.stop.signal), mostKeyBytes, name);
    const at = columns.map((column) => this.request.plan.columns.indexOf(column));
    if (at.includes(-1)) throw this.corrupt(keys.key, 'keys of columns that its rows do not have');
    return new UntouchedRows(readKeys(bytes, columns.length, name), at);
  }

  private corrupt(key: string, what: string): SynclineError {
    return new SynclineError('artifact.corrupt', `${this.place.full(key)}: it holds ${what}.`);
  }
}

type Changes = NonNullable<Entry['held']['changes']>;

/** The keys of a unit's touched rows are held at once. */
const mostKeyBytes = 512 * 1024 * 1024;

interface ObjectOfRows {
  readonly ref: StoredRef;
  readonly bytes: number;
  /** Rows with these keys are left out; null: all count as they are. */
  readonly without: Changes | null;
  /** Rows that are to be counted: those of changes. */
  readonly rows: number;
}

/** Of a unit with changes those that were not touched since they were read, then the touched ones as they were at the instant. */
function objectsOfRows({ held }: Entry): readonly ObjectOfRows[] {
  const { object, bytes, changes } = held;
  if (changes === undefined) return [{ ref: object, bytes, without: null, rows: 0 }];
  return [
    { ref: object, bytes: changes.readBytes, without: changes, rows: 0 },
    { ref: changes.rows, bytes: changes.bytes, without: null, rows: changes.count },
  ];
}
