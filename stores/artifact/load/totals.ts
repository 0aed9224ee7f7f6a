import { z } from 'zod';
import type { LedgerTotals } from '../../spi/load-ledger.ts';
import type { Artifact } from '../artifact.ts';
import { overKey } from '../objects/layout.ts';
import { countShape } from '../objects/sealed.ts';
import { deadOrdinals } from './dead-letters.ts';
import { firstOfEach, listReceipts } from './receipts.ts';

const totalsShape: z.ZodType<LedgerTotals> = z.strictObject({
  unitsDone: countShape,
  unitsSkipped: countShape,
  rows: countShape,
  rowsHidden: countShape,
  bytes: countShape,
});

/** Of a load that is over, from what it left behind; else one listing of its receipts, whose names tell enough. */
export async function readTotals(artifact: Artifact, backup: string): Promise<LedgerTotals> {
  return (await artifact.place.readJson(overKey(backup), totalsShape)) ?? (await sumUp(artifact, backup));
}

export async function sumUp(artifact: Artifact, backup: string): Promise<LedgerTotals> {
  const dead = await deadOrdinals(artifact, backup);
  const sums = { unitsDone: 0, rows: 0, bytes: 0 };
  for await (const receipt of firstOfEach(listReceipts(artifact.place, backup))) {
    sums.unitsDone += 1;
    sums.rows += receipt.rows;
    sums.bytes += receipt.bytes;
    dead.delete(receipt.ordinal);
  }
  return { ...sums, unitsSkipped: dead.size, rowsHidden: 0 };
}
