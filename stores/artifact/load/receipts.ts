import { z } from 'zod';
import { SynclineError } from '../../../definitions/errors.ts';
import type { FileKey } from '../../spi/files.ts';
import { heldRowsShape, type HeldRows } from '../backup/entry.ts';
import { donePrefix, numbered, ordinalText, pageOf } from '../objects/layout.ts';
import type { Place } from '../objects/place.ts';
import { storedRefShape } from '../objects/sealed.ts';

/**
 * What says that a unit is done: one object a unit, whose name already tells rows and bytes, so that sums and what is
 * missing come out of a listing. Each attempt writes a receipt of its own name; the first in order counts.
 */
export interface ReceiptName {
  readonly ordinal: number;
  readonly rows: number;
  readonly bytes: number;
  readonly key: FileKey;
  /** ISO 8601, by the store's clock. */
  readonly changedAt: string | null;
}

export interface NewReceipt {
  readonly backup: string;
  readonly ordinal: number;
  readonly rows: number;
  readonly bytes: number;
  readonly token: string;
}

export function receiptKey({ backup, ordinal, rows, bytes, token }: NewReceipt): FileKey {
  return `${unitReceipts(backup, ordinal)}${String(rows)}.${String(bytes)}.${token}`;
}

function unitReceipts(backup: string, ordinal: number): string {
  return `${donePrefix(backup)}${numbered(pageOf(ordinal))}/${ordinalText(ordinal)}.`;
}

const namePattern = /\/(\d{6})\/(\d{9})\.(\d{1,16})\.(\d{1,16})\.[0-9a-f]+$/;

/** All receipts of a backup under way in the order of their units; `page`: those of one page only. */
export async function* listReceipts(
  place: Place,
  backup: string,
  page?: number,
): AsyncGenerator<ReceiptName> {
  const prefix = page === undefined ? donePrefix(backup) : `${donePrefix(backup)}${numbered(page)}/`;
  yield* readNames(place, prefix);
}

/** Those of one unit: usually none or one. */
export async function receiptsOf(place: Place, backup: string, ordinal: number): Promise<ReceiptName[]> {
  const found: ReceiptName[] = [];
  for await (const receipt of readNames(place, unitReceipts(backup, ordinal))) found.push(receipt);
  return found;
}

async function* readNames(place: Place, prefix: string): AsyncGenerator<ReceiptName> {
  for await (const { key, changedAt } of place.list(prefix)) {
    const match = namePattern.exec(key);
    if (match === null) continue;
    const [, , ordinal, rows, bytes] = match;
    yield { ordinal: Number(ordinal), rows: Number(rows), bytes: Number(bytes), key, changedAt };
  }
}

/** One a unit. */
export async function* firstOfEach(receipts: AsyncIterable<ReceiptName>): AsyncGenerator<ReceiptName> {
  let last = 0;
  for await (const receipt of receipts) {
    if (receipt.ordinal === last) continue;
    last = receipt.ordinal;
    yield receipt;
  }
}

const receiptShape = z.strictObject({
  /** Of the plan that the unit belongs to. */
  plan: z.string(),
  /** Null for an object that was taken over from another place. */
  held: heldRowsShape.nullable(),
  object: storedRefShape.pick({ key: true, storedBytes: true, sha256: true }),
});

export type ReceiptContent = z.output<typeof receiptShape>;

/** Of an object with rows. */
export function rowsReceipt(plan: string, held: HeldRows): ReceiptContent {
  const { key, storedBytes, sha256 } = held.object;
  return { plan, held, object: { key, storedBytes, sha256 } };
}

export async function readReceipt(place: Place, name: ReceiptName): Promise<ReceiptContent> {
  const content = await place.readJson(name.key, receiptShape);
  if (content !== null) return content;
  throw new SynclineError('artifact.corrupt', `${place.full(name.key)}: it went away while it was read.`);
}
