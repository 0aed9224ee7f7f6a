import type { LoadRef, PlanTotals } from '../../../definitions/contracts/copy.ts';
import { SynclineError } from '../../../definitions/errors.ts';
import { inGroups } from '../../../planning/in-groups.ts';
import type { LoadUnit, TablePlan } from '../../spi/chunk-source.ts';
import type { LoadPlans, StoredLoad } from '../../spi/load-ledger.ts';
import type { Artifact } from '../artifact.ts';
import { unitOfEntry } from '../backup/entry.ts';
import {
  newToken,
  numbered,
  pageUnits,
  partsOf,
  planFolder,
  planKey,
  plansPrefix,
  workFolder,
} from '../objects/layout.ts';
import { mapEach } from '../objects/place.ts';
import { type Coding, plainCoding, type StoredRef, writeLines } from '../objects/sealed.ts';
import { codingOf, type PlanHead } from './backup-under-way.ts';
import { batchPage } from './batches.ts';
import { removeAbandoned } from './clean-up.ts';

/** Plans as pages of many units. They hold key ranges, so they are encrypted where the backup is. */
export function createPlans(artifact: Artifact): LoadPlans {
  return {
    write: (ref, tables, units) => writePlan(artifact, { ref, tables, units }),
    async read(ref) {
      const stored = await readStored(artifact, artifact.backupOf(ref));
      return stored !== null && stored.ref.job === ref.job && stored.ref.load === ref.load ? stored : null;
    },
    latest: async (job) => (await allOf(artifact, job, 1))[0] ?? null,
    all: (job) => allOf(artifact, job, Infinity),
    units: (ref, from, to) => unitsOf(artifact, ref, { from, to }),
    batches: (request) => batchPage(artifact, request),
  };
}

interface NewPlan {
  readonly ref: LoadRef;
  readonly tables: readonly TablePlan[];
  readonly units: AsyncIterable<LoadUnit>;
}

/** The head comes last, and names the pages: a plan is complete or not there, and the first one written stays. */
async function writePlan(artifact: Artifact, plan: NewPlan): Promise<PlanTotals> {
  const { place } = artifact;
  const backup = artifact.backupOf(plan.ref);
  const underWay = artifact.underWay(backup);
  const known = await underWay.readHead();
  if (known !== null) return known.totals;
  await artifact.claim(plan.ref.job);
  await removeAbandoned(artifact, backup);
  const begun = await underWay.readBegun();
  const coding = begun === null ? plainCoding : codingOf(begun);
  const token = newToken();
  const written = await writePages(artifact, plan, { backup, token, coding });
  const head: PlanHead = {
    token,
    ref: plan.ref,
    totals: { ...written.totals, tables: plan.tables.length },
    createdAt: new Date().toISOString(),
    tables: await writeLines(place, `${planFolder(backup)}tables-${token}`, { values: plan.tables, coding }),
    pages: written.pages,
  };
  // An attempt that was given up for dead may have come through meanwhile; receipts name the plan they belong to.
  const earlier = await underWay.readHead();
  if (earlier !== null) {
    await place.remove([head.tables.key, ...head.pages.map((page) => page.key)]);
    return earlier.totals;
  }
  await place.writeJson(planKey(backup), head);
  return head.totals;
}

interface PagePlace {
  readonly backup: string;
  readonly token: string;
  readonly coding: Coding;
}

async function writePages(
  artifact: Artifact,
  { units }: NewPlan,
  { backup, token, coding }: PagePlace,
): Promise<{ readonly pages: StoredRef[]; readonly totals: Omit<PlanTotals, 'tables'> }> {
  const totals = { units: 0, chunks: 0, bytes: 0 };
  const pages: StoredRef[] = [];
  for await (const group of inGroups(units, pageUnits)) {
    for (const unit of group) {
      totals.units += 1;
      if (unit.ordinal !== totals.units)
        throw new SynclineError('internal.unexpected', 'Units of a plan are numbered from 1.');
      if (unit.ordinal === unit.firstOfChunk) totals.chunks += 1;
      totals.bytes += unit.kind === 'finish' ? 0 : Math.round(unit.bytes);
    }
    const key = `${workFolder(backup)}plan-${token}/${numbered(pages.length + 1)}`;
    pages.push(await writeLines(artifact.place, key, { values: group, coding }));
  }
  return { pages, totals };
}

async function readStored(artifact: Artifact, backup: string): Promise<StoredLoad | null> {
  const underWay = artifact.underWay(backup);
  const head = await underWay.readHead();
  if (head === null) return null;
  return { ref: head.ref, totals: head.totals, tables: await underWay.readTables() };
}

/** By name, which begins with the time that the run was due: the newest first. */
async function allOf(artifact: Artifact, job: string, limit: number): Promise<StoredLoad[]> {
  const backups: string[] = [];
  for await (const { key } of artifact.place.list(plansPrefix)) {
    const parts = partsOf(key);
    if (parts?.rest === 'plan.json') backups.push(parts.backup);
  }
  const found: StoredLoad[] = [];
  for await (const some of inGroups(fromLast(backups), 16)) {
    const loads = await mapEach(some, (backup) => readStored(artifact, backup));
    for (const load of loads) if (load?.ref.job === job) found.push(load);
    if (found.length >= limit) break;
  }
  return found;
}

async function* fromLast<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* await Promise.resolve([...items].reverse());
}

interface Span {
  readonly from: number;
  readonly to: number;
}

/** Pages of the plan go when the backup is published; its entries then say the same, but for what was set aside. */
async function unitsOf(artifact: Artifact, ref: LoadRef, { from, to }: Span): Promise<LoadUnit[]> {
  const backup = artifact.backupOf(ref);
  const units: LoadUnit[] = [];
  if (!(await artifact.isOver(backup))) {
    for await (const unit of artifact.underWay(backup).units(from, to)) units.push(unit);
    return units;
  }
  const { ref: made } = await artifact.underWay(backup).expectHead();
  // Of a transfer the manifest tells other units: those of the backup that it brought over.
  if (made.sourceArtifact !== undefined) return units;
  const published = await artifact.published(backup);
  for await (const entry of published.entriesOfUnits(from, to)) units.push(unitOfEntry(entry));
  return units;
}
