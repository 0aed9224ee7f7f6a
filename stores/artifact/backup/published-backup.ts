import { SynclineError } from '../../../definitions/errors.ts';
import { displayName, type TableName } from '../../spi/tables.ts';
import type { Place } from '../objects/place.ts';
import { readLines, refOf } from '../objects/sealed.ts';
import { type Entry, entryShape, expectSafeEntry, objectsOf } from './entry.ts';
import { type PublishedTable, publishedTableShape } from './kept-tables.ts';
import { type Manifest, readManifest } from './manifest.ts';

/** Pages held at once: what is read goes from front to back, by a few activities at a time. */
const pagesHeld = 6;

/** Where the units of a chunk are among all entries, and how many the whole chunk has. */
interface ChunkPlace {
  readonly first: number;
  readonly count: number;
  readonly wanted: number;
}

/**
 * A published backup as it is read: it never changes, so everything is read once. Pages are held a few at a time, and
 * of all of them only where each chunk begins.
 */
export class PublishedBackup {
  readonly manifest: Manifest;
  private readonly place: Place;
  private readonly pages = new Map<number, Promise<readonly Entry[]>>();
  private kept: Promise<readonly PublishedTable[]> | null = null;
  private chunks: Promise<ReadonlyMap<string, ChunkPlace>> | null = null;
  private changed: Promise<readonly number[]> | null = null;

  private constructor(place: Place, manifest: Manifest) {
    this.place = place;
    this.manifest = manifest;
  }

  static async open(place: Place, backup: string): Promise<PublishedBackup> {
    return PublishedBackup.of(place, await readManifest(place, backup));
  }

  static of(place: Place, manifest: Manifest): PublishedBackup {
    return new PublishedBackup(place, manifest);
  }

  get entryCount(): number {
    return this.manifest.pages.reduce((sum, page) => sum + page.entries, 0);
  }

  tables(): Promise<readonly PublishedTable[]> {
    this.kept ??= this.forgetful(this.readTables(), () => (this.kept = null));
    return this.kept;
  }

  /** Entries `from … from + count - 1`, counted from 0. */
  async *entries(from: number, count: number): AsyncGenerator<Entry> {
    let first = 0;
    for (const [number, page] of this.manifest.pages.entries()) {
      const [start, end] = [Math.max(0, from - first), Math.min(page.entries, from + count - first)];
      if (start < end) yield* (await this.page(number)).slice(start, end);
      first += page.entries;
      if (first >= from + count) return;
    }
  }

  /** Entries with ordinals `from … to`; those that were set aside are not there. */
  async *entriesOfUnits(from: number, to: number): AsyncGenerator<Entry> {
    // An entry stands as far before its ordinal as units before it were set aside.
    const first = Math.max(0, from - 1 - this.manifest.skipped.units);
    for await (const entry of this.entries(first, Math.max(0, to - first))) {
      if (entry.ordinal > to) return;
      if (entry.ordinal >= from) yield entry;
    }
  }

  /** The entries of one leaf: one, or its slices in order; empty when the backup does not hold all of it. */
  async entriesOfLeaf(leaf: TableName): Promise<readonly Entry[]> {
    const found = (await this.chunkPlaces()).get(displayName(leaf));
    if (found === undefined) return [];
    const entries: Entry[] = [];
    for await (const entry of this.entries(found.first, found.count)) entries.push(entry);
    return entries;
  }

  /** One of them; null when the backup does not hold all of the leaf, or has no such slice. */
  async entryOf(leaf: TableName, slice: number): Promise<Entry | null> {
    const found = (await this.chunkPlaces()).get(displayName(leaf));
    const at = Math.max(0, slice - 1);
    if (found === undefined || at >= found.count) return null;
    for await (const entry of this.entries(found.first + at, 1)) return entry.slice === slice ? entry : null;
    return null;
  }

  /** Reads every page, holding it against what the manifest says. */
  async verify(): Promise<void> {
    await this.chunkPlaces();
    await this.tables();
  }

  /** Numbers of the entries with changes beside them, in order. */
  async changedEntries(): Promise<readonly number[]> {
    if ((this.manifest.changedUnits ?? 0) === 0) return [];
    this.changed ??= this.forgetful(this.readChanged(), () => (this.changed = null));
    return await this.changed;
  }

  private async readChanged(): Promise<readonly number[]> {
    const changed: number[] = [];
    let index = 0;
    for await (const { held } of this.entries(0, this.entryCount)) {
      if (held.changes !== undefined) changed.push(index);
      index += 1;
    }
    return changed;
  }

  private chunkPlaces(): Promise<ReadonlyMap<string, ChunkPlace>> {
    this.chunks ??= this.forgetful(this.readChunkPlaces(), () => (this.chunks = null));
    return this.chunks;
  }

  private async readChunkPlaces(): Promise<ReadonlyMap<string, ChunkPlace>> {
    const places = new Map<string, ChunkPlace>();
    const sums = new EntrySums(this.manifest);
    let index = 0;
    for await (const entry of this.entries(0, this.entryCount)) {
      sums.add(entry);
      const name = displayName(entry.leaf);
      const begun = places.get(name);
      if (begun === undefined)
        places.set(name, { first: index, count: 1, wanted: Math.max(1, entry.slices) });
      else if (begun.first + begun.count === index && entry.slice > 1)
        places.set(name, { ...begun, count: begun.count + 1 });
      else throw this.wrong('it names a chunk twice');
      index += 1;
    }
    const problem = sums.problem();
    if (problem !== null) throw this.wrong(problem);
    // A chunk of which a slice was set aside is not whole, so it is as if it were not there.
    for (const [name, { count, wanted }] of places) if (count !== wanted) places.delete(name);
    return places;
  }

  private page(number: number): Promise<readonly Entry[]> {
    const known = this.pages.get(number);
    if (known !== undefined) {
      this.pages.delete(number);
      this.pages.set(number, known);
      return known;
    }
    const oldest = this.pages.keys().next().value;
    if (this.pages.size >= pagesHeld && oldest !== undefined) this.pages.delete(oldest);
    const reading = this.forgetful(this.readPage(number), () => this.pages.delete(number));
    this.pages.set(number, reading);
    return reading;
  }

  private async readPage(number: number): Promise<readonly Entry[]> {
    const page = this.manifest.pages[number];
    if (page === undefined) throw new SynclineError('internal.unexpected', 'A page that is not there.');
    const entries = await readLines(this.place, refOf(page), entryShape);
    if (entries.length !== page.entries)
      throw this.wrong(`${page.key} has another number of entries than it says`);
    for (const entry of entries) expectSafeEntry(entry);
    return entries;
  }

  private async readTables(): Promise<readonly PublishedTable[]> {
    const tables = await readLines(this.place, this.manifest.schema, publishedTableShape);
    const names = tables.map((table) => displayName(table.definition.name));
    const same =
      names.length === this.manifest.tables.length &&
      names.every((name, index) => name === this.manifest.tables[index]?.name);
    if (!same) throw this.wrong('its schema names other tables');
    let next = 0;
    for (const table of tables) {
      if (table.firstEntry !== next) throw this.wrong('its tables do not share out its entries');
      next += table.entries;
    }
    if (next !== this.entryCount) throw this.wrong('its tables do not share out its entries');
    return tables;
  }

  /** What failed may succeed the next time; what was read once stays. */
  private forgetful<T>(work: Promise<T>, forget: () => void): Promise<T> {
    work.catch(forget);
    return work;
  }

  private wrong(what: string): SynclineError {
    const { backup } = this.manifest;
    return new SynclineError('artifact.corrupt', `The manifest of backup ${backup} is not right: ${what}.`);
  }
}

/** Holds the entries against the sums of the manifest. */
class EntrySums {
  private readonly manifest: Manifest;
  private units = 0;
  private objects = 0;
  private changed = 0;
  private rows = 0;
  private bytes = 0;
  private storedBytes = 0;
  private referredBytes = 0;
  private lastOrdinal = 0;
  private ascending = true;
  private readonly keys = new Set<string>();

  constructor(manifest: Manifest) {
    this.manifest = manifest;
  }

  add({ ordinal, held }: Entry): void {
    this.units += 1;
    this.rows += held.rows;
    this.bytes += held.bytes;
    const isOwn = held.from === this.manifest.backup;
    for (const object of objectsOf({ held })) {
      // Changes are always those of this backup, also when the rows are of an earlier one.
      if (isOwn || object !== held.object) this.storedBytes += object.storedBytes;
      else this.referredBytes += object.storedBytes;
      this.objects += 1;
      this.keys.add(object.key);
    }
    if (held.changes !== undefined) this.changed += 1;
    this.ascending &&= ordinal > this.lastOrdinal;
    this.lastOrdinal = ordinal;
  }

  problem(): string | null {
    const { manifest } = this;
    const same =
      this.units === manifest.units &&
      this.changed === (manifest.changedUnits ?? 0) &&
      this.rows === manifest.rows &&
      this.bytes === manifest.bytes &&
      this.storedBytes === manifest.storedBytes &&
      this.referredBytes === manifest.referredBytes;
    if (!same) return 'its entries do not add up to its sums';
    if (!this.ascending) return 'its entries are out of order';
    return this.keys.size === this.objects ? null : 'it names an object twice';
  }
}
