import { z } from 'zod';
import type { LoadUnit } from '../../spi/chunk-source.ts';
import { expectDataKey, isBackupId } from '../objects/layout.ts';
import { countShape, type StoredRef, storedRefShape } from '../objects/sealed.ts';
import { contentShape, longText, markShape, rangeShape, tableNameShape } from './shapes.ts';

/** What became of a unit's rows until the one instant of `consistency: cut`. */
export const changesShape = z.strictObject({
  /** Columns of the keys. */
  columns: z.array(z.string().max(1_000)).min(1).max(1_600),
  /** The keys of all rows that were touched, one after another; those rows of `object` are not rows of the unit. */
  keys: storedRefShape,
  /** Rows with these keys at the instant, as binary COPY. */
  rows: storedRefShape,
  /** How many those are, and what they and the rows of `object` have in bytes. */
  count: countShape,
  bytes: countShape,
  readBytes: countShape,
});

/** What the receipt of a unit's rows says; a receipt is a line of the manifest's pages before it is one. */
export const heldRowsShape = z.strictObject({
  rows: countShape,
  /** As they left the source, without frames. */
  bytes: countShape,
  digest: longText.nullable(),
  object: storedRefShape,
  mark: markShape,
  content: contentShape.nullable(),
  /** The backup whose load wrote the object. */
  from: z.string().refine(isBackupId),
  /** When it was committed, ISO 8601. */
  at: z.iso.datetime(),
  /** Then `rows`, `digest` and `mark` are those of the instant, `bytes` those of both. */
  changes: changesShape.exactOptional(),
});

export type HeldRows = z.output<typeof heldRowsShape>;

/** One unit of a published backup: one line of a page. */
export const entryShape = z.strictObject({
  ordinal: countShape,
  firstOfChunk: countShape,
  kind: z.enum(['whole', 'slice']),
  chunk: z.string().min(1).max(1_000),
  slice: countShape,
  /** How many slices the chunk was cut into; 0 when it is whole. */
  slices: countShape,
  /** Ordinal of the table. */
  table: countShape,
  leaf: tableNameShape,
  range: rangeShape.nullable(),
  bound: longText.nullable(),
  held: heldRowsShape,
});

export type Entry = z.output<typeof entryShape>;

/** Throws `files.unsafeKey` or `artifact.corrupt` for a key that no backup gives to rows. */
export function expectSafeEntry(entry: Entry): void {
  for (const { key } of objectsOf(entry)) expectDataKey(key);
}

/** Everything that is needed to read the unit. */
export function objectsOf({ held }: Pick<Entry, 'held'>): readonly StoredRef[] {
  const { object, changes } = held;
  return changes === undefined ? [object] : [object, changes.keys, changes.rows];
}

/** As the plan of the backup had it, with the bytes that it turned out to have. */
export function unitOfEntry(entry: Entry): LoadUnit {
  const { ordinal, firstOfChunk, kind, chunk, slice, table, leaf, range, bound, held } = entry;
  return {
    ordinal,
    firstOfChunk,
    kind,
    chunk,
    slice,
    table,
    sourceLeaf: leaf,
    targetLeaf: leaf,
    range,
    bound,
    bytes: held.bytes,
  };
}
