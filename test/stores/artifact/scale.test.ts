import { describe, expect, it } from 'vitest';
import type { UnitBatch } from '../../../definitions/contracts/copy.ts';
import { openArtifact } from '../../../stores/artifact/open-artifact.ts';
import type { LoadUnit } from '../../../stores/spi/chunk-source.ts';
import { requireCapability } from '../../../stores/spi/store.ts';
import { MemoryDisk, openMemoryFiles } from '../../support/memory-files.ts';
import {
  backUp,
  backupId,
  type Content,
  inOrder,
  load,
  path,
  prepare,
  refOf,
  restore,
  tablePlan,
  unitsOf,
} from './backups.ts';

const first = backupId(1);
const ref = refOf(first);

function counting(disk: MemoryDisk): {
  files: ReturnType<typeof openMemoryFiles>;
  readonly take: () => number;
} {
  let count = 0;
  return {
    files: openMemoryFiles(disk, { before: () => (count += 1) }),
    take: () => {
      const taken = count;
      count = 0;
      return taken;
    },
  };
}

function manyChunks(count: number): Content {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`t_${String(index)}`, [['r']]]));
}

describe('requests to the store of files', () => {
  it('grow with pages of a plan of 20,000 units, not with its units, and a batch costs a page at most', async () => {
    const units = unitsOf(manyChunks(20_000));
    const { files, take } = counting(new MemoryDisk());
    const artifact = openArtifact(files, { path, backup: first });
    const { plans } = requireCapability(artifact, 'loadLedger');
    const totals = await plans.write(ref, [tablePlan], inOrder(units));
    expect(totals).toEqual({ units: 20_000, chunks: 20_000, bytes: 2_000_000, tables: 1 });
    expect(take()).toBeLessThan(20 + 15);
    const found: LoadUnit[] = [];
    const batches: UnitBatch[] = [];
    for (let after = 0, end = false; !end;) {
      const page = await plans.batches({ ref, after, limit: 20, onlyMissing: false });
      batches.push(...page.batches);
      ({ next: after, end } = page);
    }
    for (const { from, to } of batches) found.push(...(await plans.units(ref, from, to)));
    expect(found).toEqual(units);
    // Two times each page, and for each batch the question whether the load is over.
    expect(take()).toBeLessThan(2 * 20 + 2 * batches.length + 10);
    expect(await requireCapability(artifact, 'loadLedger').totals(ref)).toMatchObject({ unitsDone: 0 });
    expect(take()).toBeLessThan(5);
  });

  it('are a few for each unit and one a page for what is missing, and publishing reads each receipt once', async () => {
    const content = manyChunks(1_500);
    const made = { backup: first, content, verify: 'none', compression: 'none' } as const;
    const { files, take } = counting(new MemoryDisk());
    const artifact = await prepare(files, made);
    const units = unitsOf(content);
    const ledger = requireCapability(artifact, 'loadLedger');
    take();
    for (const unit of units) await load(artifact, made, unit);
    expect(take() / units.length).toBeLessThan(3.1);
    expect(await ledger.totals(ref)).toMatchObject({ unitsDone: 1_500, rows: 1_500 });
    const page = await ledger.plans.batches({ ref, after: 0, limit: 10, onlyMissing: true });
    expect(page).toMatchObject({ batches: [], end: true });
    expect(take()).toBeLessThan(10);
    await requireCapability(artifact, 'backupWriter').publish(ref);
    // Each receipt is read once and removed.
    expect(take() / units.length).toBeLessThan(2.1);
    expect(Object.keys(await restore(files, first))).toHaveLength(1_500);
    expect(take() / units.length).toBeLessThan(1.1);
  });

  it('of an unchanged unit are those to find it, not to read or write it', async () => {
    const content = manyChunks(300);
    const disk = new MemoryDisk();
    await backUp(openMemoryFiles(disk), { backup: first, content, compression: 'none' });
    const { files, take } = counting(disk);
    const second = backupId(2);
    const made = { backup: second, content, basedOn: first, compression: 'none' } as const;
    const artifact = await prepare(files, made);
    take();
    for (const unit of unitsOf(content)) await load(artifact, made, unit);
    // Receipts listed, the earlier object looked at, the receipt written.
    expect(take() / 300).toBeLessThan(3.2);
    await requireCapability(artifact, 'backupWriter').publish(refOf(second));
    expect(disk.keys(`${path}/data/`)).toHaveLength(300);
    const objects = await requireCapability(artifact, 'backupCatalog').objects(second, 290, 1_000);
    expect(objects.map(({ ordinal }) => ordinal)).toEqual(Array.from({ length: 12 }, (_, at) => 291 + at));
  });
});
