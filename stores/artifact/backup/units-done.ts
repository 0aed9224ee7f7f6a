import { SynclineError } from '../../../definitions/errors.ts';
import type { LoadUnit } from '../../spi/chunk-source.ts';
import type { FileKey } from '../../spi/files.ts';
import type { Artifact } from '../artifact.ts';
import type { BackupUnderWay } from '../load/backup-under-way.ts';
import { deadOrdinals } from '../load/dead-letters.ts';
import { listReceipts, readReceipt, type ReceiptName } from '../load/receipts.ts';
import { dataPrefix, writerOf } from '../objects/layout.ts';
import type { Place } from '../objects/place.ts';
import type { StoredRef } from '../objects/sealed.ts';

/** A unit of the plan with its receipt; null: it was set aside. */
export interface Done {
  readonly unit: LoadUnit;
  /** Slices of its chunk; 0 when it is whole. */
  readonly slices: number;
  readonly receipt: ReceiptName | null;
}

/**
 * Holds the plan against the receipts, both in the order of their ordinals. Throws `verify.totalsDiffer` when a unit is
 * neither done nor set aside, or a receipt has no unit.
 */
export async function* unitsDone(
  artifact: Artifact,
  underWay: BackupUnderWay,
  seen: SeenObjects,
): AsyncGenerator<Done> {
  const { totals } = await underWay.expectHead();
  const dead = await deadOrdinals(artifact, underWay.backup);
  const receipts = new Receipts(artifact.place, listReceipts(artifact.place, underWay.backup), seen);
  for await (const chunk of chunksOf(underWay.units(1, totals.units))) {
    const slices = chunk.filter((unit) => unit.kind === 'slice').length;
    for (const unit of chunk) {
      const receipt = await receipts.of(unit.ordinal);
      if (receipt === null && !dead.has(unit.ordinal)) throw missing(unit);
      yield { unit, slices, receipt };
    }
  }
  await receipts.expectEnd();
}

/** Units of a chunk follow each other. */
async function* chunksOf(units: AsyncIterable<LoadUnit>): AsyncGenerator<LoadUnit[]> {
  let chunk: LoadUnit[] = [];
  for await (const unit of units) {
    if (chunk.length > 0 && unit.firstOfChunk !== chunk[0]?.firstOfChunk) {
      yield chunk;
      chunk = [];
    }
    chunk.push(unit);
  }
  if (chunk.length > 0) yield chunk;
}

function missing({ chunk, ordinal }: LoadUnit): SynclineError {
  return new SynclineError(
    'verify.totalsDiffer',
    `Unit ${String(ordinal)} (${chunk}) has no receipt and was not set aside.`,
    { details: { chunk } },
  );
}

/** The receipts in order, one a unit. */
class Receipts {
  private readonly place: Place;
  private readonly names: AsyncGenerator<ReceiptName>;
  private readonly seen: SeenObjects;
  private next: ReceiptName | null = null;

  constructor(place: Place, names: AsyncGenerator<ReceiptName>, seen: SeenObjects) {
    this.place = place;
    this.names = names;
    this.seen = seen;
  }

  /** Of several attempts that all came through, the first whose object is there. */
  async of(ordinal: number): Promise<ReceiptName | null> {
    const own: ReceiptName[] = [];
    for (let name = await this.peek(); name?.ordinal === ordinal; name = await this.peek()) {
      own.push(name);
      this.next = null;
    }
    const [first = null] = own;
    if (own.length < 2) return first;
    for (const name of own) {
      const { object } = await readReceipt(this.place, name);
      if (this.seen.has(object)) return name;
    }
    return first;
  }

  async expectEnd(): Promise<void> {
    const name = await this.peek();
    if (name === null) return;
    throw new SynclineError(
      'verify.totalsDiffer',
      `There is a receipt for unit ${String(name.ordinal)}, which the plan does not have.`,
    );
  }

  private async peek(): Promise<ReceiptName | null> {
    if (this.next !== null) return this.next;
    const step = await this.names.next();
    this.next = step.done === true ? null : step.value;
    return this.next;
  }
}

type Stored = Pick<StoredRef, 'key' | 'storedBytes'>;

/** All objects with rows that are there, and which of them were asked for: one listing instead of a request each. */
export class SeenObjects {
  private readonly bytes: ReadonlyMap<FileKey, number>;
  private readonly named = new Set<FileKey>();

  private constructor(bytes: ReadonlyMap<FileKey, number>) {
    this.bytes = bytes;
  }

  static async of(place: Place): Promise<SeenObjects> {
    const bytes = new Map<FileKey, number>();
    for await (const stat of place.list(dataPrefix)) bytes.set(stat.key, stat.bytes);
    return new SeenObjects(bytes);
  }

  has({ key, storedBytes }: Stored): boolean {
    return this.bytes.get(key) === storedBytes;
  }

  /** Throws `artifact.corrupt` with its name when it is not there in its size, or was named before. */
  expect(place: Place, object: Stored): void {
    const { key } = object;
    if (this.named.has(key))
      throw new SynclineError('artifact.corrupt', `${place.full(key)}: two units say that it is theirs.`);
    this.named.add(key);
    if (this.has(object)) return;
    throw new SynclineError(
      'artifact.corrupt',
      `${place.full(key)}: its receipt is here, and it is not, or has another size.`,
    );
  }

  /** What the load of this backup wrote and nobody asked for. */
  unnamed(backup: string): FileKey[] {
    return [...this.bytes.keys()].filter((key) => !this.named.has(key) && writerOf(key) === backup);
  }
}
