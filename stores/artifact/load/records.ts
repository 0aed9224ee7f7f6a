import type { SkippedChunk } from '../../../definitions/contracts/status.ts';
import type { LoadUnit } from '../../spi/chunk-source.ts';
import type { ListRecords, LoadPlans, UnitRecord } from '../../spi/load-ledger.ts';
import type { Artifact } from '../artifact.ts';
import { unitOfEntry } from '../backup/entry.ts';
import { pageOf } from '../objects/layout.ts';
import { readDeadLetters } from './dead-letters.ts';
import { listReceipts, type ReceiptName } from './receipts.ts';

/**
 * Units with what became of them. Of a published backup the entries tell; of a transfer that is over only what was set
 * aside is still known.
 */
export async function listRecords(
  artifact: Artifact,
  plans: LoadPlans,
  request: ListRecords,
): Promise<readonly UnitRecord[]> {
  const { ref, after, limit, onlySkipped } = request;
  const backup = artifact.backupOf(ref);
  if ((await artifact.underWay(backup).readHead()) === null) return [];
  const letters = await readDeadLetters(artifact, backup, { after, limit });
  const skipped = letters.map(skippedRecord);
  if (onlySkipped) return skipped;
  if (await artifact.isOver(backup)) {
    const held = await heldRecords(artifact, backup, { after, limit });
    return [...held, ...skipped].sort((one, other) => one.ordinal - other.ordinal).slice(0, limit);
  }
  const units = await plans.units(ref, after + 1, after + limit);
  const receipts = await receiptsBetween(artifact, backup, { after, limit });
  const dead = new Map(letters.map((letter) => [letter.ordinal, letter]));
  return units.map((unit) => recordOf(unit, receipts.get(unit.ordinal) ?? null, dead.get(unit.ordinal)));
}

type Span = Pick<ListRecords, 'after' | 'limit'>;

async function heldRecords(
  artifact: Artifact,
  backup: string,
  { after, limit }: Span,
): Promise<UnitRecord[]> {
  const { ref } = await artifact.underWay(backup).expectHead();
  if (ref.sourceArtifact !== undefined) return [];
  const published = await artifact.published(backup);
  const records: UnitRecord[] = [];
  for await (const entry of published.entriesOfUnits(
    after + 1,
    after + limit + published.manifest.skipped.units,
  ))
    records.push({
      ...pendingRecord(unitOfEntry(entry)),
      state: 'done',
      rows: entry.held.rows,
      committedAt: entry.held.at,
    });
  return records;
}

async function receiptsBetween(
  artifact: Artifact,
  backup: string,
  { after, limit }: Span,
): Promise<ReadonlyMap<number, ReceiptName>> {
  const found = new Map<number, ReceiptName>();
  const { totals } = await artifact.underWay(backup).expectHead();
  const last = Math.min(after + limit, totals.units);
  for (let page = pageOf(after + 1); after < last && page <= pageOf(last); page += 1) {
    for await (const receipt of listReceipts(artifact.place, backup, page))
      if (!found.has(receipt.ordinal)) found.set(receipt.ordinal, receipt);
  }
  return found;
}

function recordOf(unit: LoadUnit, receipt: ReceiptName | null, letter: SkippedChunk | undefined): UnitRecord {
  const record = pendingRecord(unit);
  if (receipt !== null) {
    const { rows, bytes, changedAt } = receipt;
    return { ...record, state: 'done', rows, bytes, committedAt: changedAt };
  }
  if (letter === undefined) return record;
  return { ...record, state: 'skipped', code: letter.code, message: letter.message };
}

function pendingRecord({ ordinal, kind, chunk, slice, bytes }: LoadUnit): UnitRecord {
  const rest = { rows: null, committedAt: null, code: null, message: null };
  return { ordinal, kind, chunk, slice, state: 'pending', bytes: Math.round(bytes), ...rest };
}

function skippedRecord({ ordinal, chunk, slice, code, message }: SkippedChunk): UnitRecord {
  return {
    ordinal,
    kind: slice === 0 ? 'whole' : 'slice',
    chunk,
    slice,
    state: 'skipped',
    rows: null,
    bytes: 0,
    committedAt: null,
    code,
    message,
  };
}
