import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openArtifact } from '../../../stores/artifact/open-artifact.ts';
import { SynclineError } from '../../../definitions/errors.ts';
import { requireCapability } from '../../../stores/spi/store.ts';
import { type FileOperation, Killed, MemoryDisk, openMemoryFiles } from '../../support/memory-files.ts';
import {
  asRestored,
  backUp,
  backupId,
  type Content,
  load,
  type MadeBackup,
  path,
  prepare,
  refOf,
  restore,
  unitsOf,
} from './backups.ts';

const content: Content = { trades_1: [['a', 'b']], trades_2: [['c'], ['d', 'e']] };
const first = backupId(1);

/** A process that dies at its n-th operation that changes something, or, with `all`, at its n-th of any kind. */
function killedAt(
  disk: MemoryDisk,
  at: number,
): { files: ReturnType<typeof openMemoryFiles>; readonly died: () => boolean } {
  let left = at;
  let isDead = false;
  const before = (operation: FileOperation): void => {
    if (operation === 'write' || operation === 'remove') left -= 1;
    isDead ||= left < 0;
    if (isDead) throw new Killed('killed');
  };
  return { files: openMemoryFiles(disk, { before }), died: () => isDead };
}

async function published(disk: MemoryDisk): Promise<string[]> {
  const artifact = openArtifact(openMemoryFiles(disk), { path, backup: null });
  const { backups, broken } = await requireCapability(artifact, 'backupCatalog').list();
  expect(broken).toEqual([]);
  return backups.map((one) => one.backup);
}

/** Every backup that can be seen can be restored, and holds what it was made of. */
async function expectWhole(disk: MemoryDisk, made: ReadonlyMap<string, Content>): Promise<void> {
  for (const backup of await published(disk)) {
    const expected = made.get(backup);
    expect(expected).toBeDefined();
    expect(await restore(openMemoryFiles(disk), backup)).toEqual(asRestored(expected ?? {}));
  }
}

describe('a backup whose process is killed', () => {
  it('at any write or removal: what is published is whole, and the same run again leaves one object a unit', async () => {
    let deaths = 0;
    for (let at = 0; ; at += 1) {
      const disk = new MemoryDisk();
      const { files, died } = killedAt(disk, at);
      const attempt = backUp(files, { backup: first, content });
      if (
        await attempt.then(
          () => true,
          (error: unknown) => error instanceof Killed && false,
        )
      )
        break;
      expect(died()).toBe(true);
      deaths += 1;
      await expectWhole(disk, new Map([[first, content]]));
      await backUp(openMemoryFiles(disk), { backup: first, content, attempt: 2 });
      expect([at, disk.keys(`${path}/data/`).length]).toEqual([at, unitsOf(content).length]);
      expect(disk.keys(`${path}/work/`)).toEqual([]);
      expect(await restore(openMemoryFiles(disk), first)).toEqual(asRestored(content));
    }
    expect(deaths).toBeGreaterThan(15);
  });

  it('between object and receipt: nothing counts, and the object of the dead attempt is swept when publishing', async () => {
    const disk = new MemoryDisk();
    const made = { backup: first, content };
    const artifact = await prepare(openMemoryFiles(disk), made);
    const [unit] = unitsOf(content);
    if (unit === undefined) throw new Error('no unit');
    const before = (operation: FileOperation, key: string): void => {
      if (key.includes('/done/') && operation === 'write') throw new Killed('killed');
      if (operation === 'remove') throw new Killed('killed');
    };
    const dying = openArtifact(openMemoryFiles(disk, { before }), { path, backup: first });
    await expect(load(dying, made, unit)).rejects.toThrow('killed');
    expect(disk.keys(`${path}/data/`)).toHaveLength(1);
    expect(await requireCapability(artifact, 'loadLedger').totals(refOf(first))).toMatchObject({
      unitsDone: 0,
    });
    await backUp(openMemoryFiles(disk), made);
    expect(disk.keys(`${path}/data/`)).toHaveLength(unitsOf(content).length);
  });

  it('while another attempt is still alive: both receipts are good, one counts, the other object goes', async () => {
    const disk = new MemoryDisk();
    const made = { backup: first, content };
    await prepare(openMemoryFiles(disk), made);
    const [unit] = unitsOf(content);
    if (unit === undefined) throw new Error('no unit');
    const open = (): ReturnType<typeof openArtifact> =>
      openArtifact(openMemoryFiles(disk), { path, backup: first });
    await Promise.all([load(open(), made, unit), load(open(), made, unit)]);
    expect(disk.keys(`${path}/work/${first}/done/`)).toHaveLength(2);
    await backUp(openMemoryFiles(disk), made);
    expect(disk.keys(`${path}/data/`)).toHaveLength(unitsOf(content).length);
    expect(await restore(openMemoryFiles(disk), first)).toEqual(asRestored(content));
  });

  it('a receipt whose object is gone does not count, neither for a repeated unit nor for publishing', async () => {
    const disk = new MemoryDisk();
    const made = { backup: first, content };
    const artifact = await prepare(openMemoryFiles(disk), made);
    for (const unit of unitsOf(content)) await load(artifact, made, unit);
    const [gone = ''] = disk.keys(`${path}/data/`);
    disk.objects.delete(gone);
    const writer = requireCapability(
      openArtifact(openMemoryFiles(disk), { path, backup: first }),
      'backupWriter',
    );
    await expect(writer.publish(refOf(first))).rejects.toMatchObject({
      code: 'artifact.corrupt',
      message: expect.stringContaining(gone) as string,
    });
    expect(await published(disk)).toEqual([]);
    const { batches } = await requireCapability(artifact, 'loadLedger').plans.batches({
      ref: refOf(first),
      after: 0,
      limit: 10,
      onlyMissing: true,
    });
    expect(batches).toHaveLength(1);
    await backUp(openMemoryFiles(disk), made);
    expect(await restore(openMemoryFiles(disk), first)).toEqual(asRestored(content));
  });

  it('and is never taken up again: the next run removes what it left, but nothing that a backup names', async () => {
    const disk = new MemoryDisk();
    await backUp(openMemoryFiles(disk), { backup: first, content });
    const dead = { backup: backupId(2), content: { ...content, trades_1: [['new']] }, basedOn: first };
    const artifact = await prepare(openMemoryFiles(disk), dead);
    for (const unit of unitsOf(dead.content)) await load(artifact, dead, unit);
    expect(disk.keys(`${path}/data/`)).toHaveLength(unitsOf(content).length + 1);
    await backUp(openMemoryFiles(disk), { backup: backupId(3), content, basedOn: first });
    expect(disk.keys(`${path}/data/`)).toHaveLength(unitsOf(content).length);
    expect(disk.keys().filter((key) => key.includes(`/${dead.backup}`))).toEqual([]);
  });
});

type Step =
  | { readonly do: 'backup'; readonly change: number; readonly kill: number | null; readonly based: boolean }
  | { readonly do: 'prune'; readonly last: number; readonly kill: number | null };

const killPoint = fc.option(fc.nat({ max: 30 }), { nil: null });
const steps = fc.array(
  fc.oneof(
    fc.record({
      do: fc.constant('backup' as const),
      change: fc.nat({ max: 2 }),
      kill: killPoint,
      based: fc.boolean(),
    }),
    fc.record({ do: fc.constant('prune' as const), last: fc.integer({ min: 1, max: 3 }), kill: killPoint }),
  ),
  { maxLength: 10 },
);

describe('any order of backups, prunes and crashes', () => {
  it('leaves every backup that can be seen whole, and at the end no object that none of them names', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (all: readonly Step[]) => {
        const disk = new MemoryDisk();
        const made = new Map<string, Content>();
        let version = 0;
        let now: Content = content;
        for (const step of all) {
          const { files } = step.kill === null ? { files: openMemoryFiles(disk) } : killedAt(disk, step.kill);
          if (step.do === 'prune') await survive(prune(files, step.last));
          else {
            version += 1;
            const chunk = ['trades_1', 'trades_2', 'trades_3'][step.change] ?? '';
            now = { ...now, [chunk]: (now[chunk] ?? [[]]).map((rows) => [...rows, `v${String(version)}`]) };
            const [newest = null] = await published(disk);
            const backup: MadeBackup = {
              backup: backupId(version),
              content: now,
              basedOn: step.based ? newest : null,
              verify: 'none',
              compression: 'none',
            };
            made.set(backup.backup, now);
            await survive(backUp(files, backup));
          }
          await expectWhole(disk, made);
        }
        await backUp(openMemoryFiles(disk), { backup: backupId(99), content, compression: 'none' });
        await prune(openMemoryFiles(disk), 1);
        expect(await published(disk)).toEqual([backupId(99)]);
        expect(disk.keys(`${path}/data/`)).toHaveLength(unitsOf(content).length);
      }),
      { numRuns: 60 },
    );
  });
});

async function prune(files: ReturnType<typeof openMemoryFiles>, last: number): Promise<void> {
  const artifact = openArtifact(files, { path, backup: null });
  const keep = { last, days: null, now: new Date().toISOString() };
  await requireCapability(artifact, 'backupCatalog').prune(keep);
}

async function survive(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (error instanceof Killed || (error instanceof SynclineError && error.cause instanceof Killed)) return;
    throw error;
  }
}
