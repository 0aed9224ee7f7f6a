import type { BatchPage, ListBatchesInput, UnitBatch } from '../../../definitions/contracts/copy.ts';
import { groupUnits, lastOrdinalOfBlock, maxBatchUnits } from '../../../planning/batches.ts';
import type { LoadUnit } from '../../spi/chunk-source.ts';
import type { Artifact } from '../artifact.ts';
import { pageOf, pageUnits } from '../objects/layout.ts';
import type { BackupUnderWay } from './backup-under-way.ts';
import { listReceipts } from './receipts.ts';

export async function batchPage(artifact: Artifact, request: ListBatchesInput): Promise<BatchPage> {
  const backup = artifact.backupOf(request.ref);
  const underWay = artifact.underWay(backup);
  const { totals } = await underWay.expectHead();
  // A published backup is as it is: what was set aside is not made up for.
  if (await artifact.isOver(backup)) return { batches: [], next: totals.units, end: true };
  const begun = await underWay.readBegun();
  const mostlyUnchanged = begun !== null && begun.basedOn !== null;
  const scope: Scope = { artifact, underWay, totalUnits: totals.units, mostlyUnchanged };
  return request.onlyMissing ? await missingPage(scope, request) : await planPage(scope, request);
}

interface Scope {
  readonly artifact: Artifact;
  readonly underWay: BackupUnderWay;
  readonly totalUnits: number;
  readonly mostlyUnchanged: boolean;
}

/** Block by block, as planning/batches.ts asks for: the same batches come out wherever the page begins. */
async function planPage(
  { underWay, totalUnits, mostlyUnchanged }: Scope,
  page: ListBatchesInput,
): Promise<BatchPage> {
  const batches: UnitBatch[] = [];
  let after = page.after;
  while (after < totalUnits && batches.length < page.limit) {
    const end = lastOrdinalOfBlock(after + 1);
    const units: LoadUnit[] = [];
    for await (const unit of underWay.units(after + 1, end)) units.push(unit);
    const some = groupUnits(units, { totalUnits, mostlyUnchanged }).slice(0, page.limit - batches.length);
    batches.push(...some);
    after = some.at(-1)?.to ?? end;
  }
  return { batches, next: Math.min(after, totalUnits), end: after >= totalUnits };
}

/** Units without a receipt: one listing of receipts a page of the plan, and pages that are all done are not read. */
async function missingPage(scope: Scope, page: ListBatchesInput): Promise<BatchPage> {
  const most = maxBatchUnits * 2;
  const missing: LoadUnit[] = [];
  let reached = page.after;
  while (reached < scope.totalUnits && missing.length < most) {
    const end = Math.min(pageOf(reached + 1) * pageUnits, scope.totalUnits);
    missing.push(...(await missingOf(scope, reached + 1, end)));
    reached = end;
  }
  const units = missing.slice(0, most);
  const all = groupUnits(units, { totalUnits: units.length });
  const batches = all.slice(0, page.limit);
  const isCut = missing.length > units.length || batches.length < all.length;
  const next = isCut ? (batches.at(-1)?.to ?? page.after) : reached;
  return { batches, next, end: !isCut && reached >= scope.totalUnits };
}

async function missingOf({ artifact, underWay }: Scope, from: number, to: number): Promise<LoadUnit[]> {
  const done = new Set<number>();
  for await (const { ordinal } of listReceipts(artifact.place, underWay.backup, pageOf(from)))
    if (ordinal >= from && ordinal <= to) done.add(ordinal);
  const missing: LoadUnit[] = [];
  if (done.size === to - from + 1) return missing;
  for await (const unit of underWay.units(from, to)) if (!done.has(unit.ordinal)) missing.push(unit);
  return missing;
}
