import { z } from 'zod';
import type { LoadUnit } from '../../spi/chunk-source.ts';
import { expectDataKey, isBackupId } from '../objects/layout.ts';
import { countShape, storedRefShape } from '../objects/sealed.ts';
import { contentShape, longText, markShape, rangeShape, tableNameShape } from './shapes.ts';

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
  expectDataKey(entry.held.object.key);
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
