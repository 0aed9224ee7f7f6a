import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { openArtifact } from '../../../stores/artifact/open-artifact.ts';
import { directoryModule } from '../../../stores/directory/module.ts';
import { requireCapability, type Store } from '../../../stores/spi/store.ts';
import { MemoryDisk, openMemoryFiles } from '../../support/memory-files.ts';
import {
  asRestored,
  backUp,
  backupId,
  beginOf,
  type Content,
  definitionOf,
  job,
  loadAll,
  newKeys,
  path,
  prepare,
  refOf,
  restore,
  scriptOf,
  unitsOf,
} from './backups.ts';

const content: Content = {
  trades_1: [['a', 'b', 'c']],
  trades_2: [['d'], ['e', 'f'], []],
  'Odd "Name" / ü': [['g']],
  trades_3: [[]],
};
const [first, second, third] = [backupId(1), backupId(2), backupId(3)];

describe('a backup in a store of files', () => {
  const folders: string[] = [];
  afterEach(async () => {
    for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
  });

  async function directory(): Promise<Store> {
    const folder = await mkdtemp(join(tmpdir(), 'syncline-artifact-'));
    folders.push(folder);
    return directoryModule.open('vault', { kind: 'directory', path: folder });
  }

  it.each(['none', 'gzip', 'zstd'] as const)(
    'gives back every row of every slice, through a directory, compression %s',
    async (compression) => {
      const files = await directory();
      const summary = await backUp(files, { backup: first, content, compression });
      expect(summary).toMatchObject({ job, chunks: 4, rows: 7, bytes: 14, compression, keyId: null });
      expect(await restore(files, first)).toEqual(asRestored(content));
    },
  );

  it('encrypts rows, ranges and definitions, and reads them with the key of today and with earlier ones', async () => {
    const disk = new MemoryDisk();
    const keys = newKeys();
    const made = { backup: first, content, encrypt: true, compression: 'none' } as const;
    const files = openMemoryFiles(disk, { encryption: keys });
    const artifact = await prepare(files, made);
    expect(disk.keys().filter((key) => disk.content(key).includes('secret-1'))).toEqual([]);
    await loadAll(artifact, made);
    await requireCapability(artifact, 'backupWriter').publish(refOf(first));
    expect(disk.keys().filter((key) => /secret-1|CREATE TABLE/.test(disk.content(key).toString()))).toEqual(
      [],
    );
    expect(await restore(openMemoryFiles(disk, { encryption: newKeys([keys.key]) }), first)).toEqual(
      asRestored(content),
    );
    for (const other of [openMemoryFiles(disk, { encryption: newKeys() }), openMemoryFiles(disk)]) {
      await expect(restore(other, first)).rejects.toMatchObject({ code: 'artifact.wrongKey' });
      const { backups, broken } = await requireCapability(
        openArtifact(other, { path, backup: null }),
        'backupCatalog',
      ).list();
      expect([backups, broken.map(({ code }) => code)]).toEqual([[], ['artifact.wrongKey']]);
    }
  });

  it('leaves one object a unit, its pages and its manifest, and nothing of the load but what people ask later', async () => {
    const disk = new MemoryDisk();
    await backUp(openMemoryFiles(disk), { backup: first, content });
    expect(disk.keys(`${path}/data/`)).toHaveLength(unitsOf(content).length);
    expect(disk.keys(`${path}/work/`)).toEqual([]);
    expect(
      disk.keys(`${path}/backups/`).map((key) =>
        key
          .replace(/-[0-9a-f]{12}$/, '')
          .split('/')
          .at(-1),
      ),
    ).toEqual(['chunks-000001', 'manifest.json', 'schema']);
    expect(
      disk.keys(`${path}/plans/`).map((key) =>
        key
          .replace(/-[0-9a-f]{12}$/, '')
          .split('/')
          .at(-1),
      ),
    ).toEqual(['over.json', 'plan.json', 'tables']);
    expect(disk.keys().every((key) => !key.includes('"') && !key.includes(' '))).toBe(true);
  });

  it('answers publishing, plan, totals, units and records after it is over as before', async () => {
    const files = openMemoryFiles(new MemoryDisk());
    const made = { backup: first, content };
    const artifact = await prepare(files, made);
    await loadAll(artifact, made);
    const ledger = requireCapability(artifact, 'loadLedger');
    const ref = refOf(first);
    const seen = async (): Promise<unknown[]> => [
      await ledger.plans.read(ref),
      await ledger.totals(ref),
      (await ledger.plans.units(ref, 2, 4)).map(({ chunk, slice, range }) => ({ chunk, slice, range })),
      (await ledger.records({ ref, after: 1, limit: 3, onlySkipped: false })).map(
        ({ ordinal, state, rows }) => ({ ordinal, state, rows }),
      ),
      (await ledger.plans.latest(job))?.ref,
    ];
    const before = await seen();
    expect(before[1]).toMatchObject({ unitsDone: 6, unitsSkipped: 0, rows: 7, bytes: 14 });
    const writer = requireCapability(artifact, 'backupWriter');
    const summary = await writer.publish(ref);
    expect(await seen()).toEqual(before);
    await writer.begin(beginOf(made));
    expect(await writer.publish(ref)).toEqual(summary);
    expect(await ledger.plans.batches({ ref, after: 0, limit: 5, onlyMissing: true })).toMatchObject({
      batches: [],
      end: true,
    });
  });

  it('keeps the scripts that were brought last, with the definitions that were planned', async () => {
    const files = openMemoryFiles(new MemoryDisk());
    const made = { backup: first, content };
    const artifact = await prepare(files, made);
    await loadAll(artifact, made);
    const writer = requireCapability(artifact, 'backupWriter');
    const later = scriptOf({ after: ['SELECT setval(2)'], recipe: 'how' });
    await writer.begin({
      ...beginOf(made),
      tables: [{ definition: definitionOf({}), script: later }],
    });
    await writer.publish(refOf(first));
    const definition = definitionOf(content);
    const builder = requireCapability(openArtifact(files, { path, backup: first }), 'tableBuilder');
    const { recipe, ...own } = later;
    expect(await builder.script(definition, definition.name)).toEqual(own);
    const as = { schema: 'x', name: 'y' };
    const renamed = { ...own, table: as, before: [], shape: [], after: [], recipe };
    expect(await builder.script(definition, as)).toEqual(renamed);
    await expect(builder.create(own)).rejects.toMatchObject({ code: 'store.unsupported' });
    const found = await requireCapability(
      openArtifact(files, { path, backup: first }),
      'tableReader',
    ).describe([{ pattern: '*.tr*', chunks: '%', chunkBytes: 1 }]);
    expect(found.tables.map((table) => table.definition)).toEqual([definition]);
  });

  it('says what was set aside, leaves out a chunk of which a slice is missing, and warns whoever restores', async () => {
    const files = openMemoryFiles(new MemoryDisk());
    const summary = await backUp(files, { backup: first, content, setAside: [3, 5] });
    expect(summary).toMatchObject({ skippedUnits: 2, rows: 4 });
    expect(await restore(files, first)).toEqual({ trades_1: [['a', 'b', 'c']], trades_3: [[]] });
    const artifact = openArtifact(files, { path, backup: first });
    const findings = await requireCapability(artifact, 'tableReader').preflight('source', []);
    expect(findings).toMatchObject([
      { severity: 'warning', message: expect.stringContaining('public.trades_2') as string },
    ]);
    const records = await requireCapability(artifact, 'loadLedger').records({
      ref: refOf(first),
      after: 0,
      limit: 10,
      onlySkipped: false,
    });
    expect(records.map(({ state }) => state)).toEqual(['done', 'done', 'skipped', 'done', 'skipped', 'done']);
  });

  it('refuses to publish while a unit is neither done nor set aside', async () => {
    const files = openMemoryFiles(new MemoryDisk());
    const artifact = await prepare(files, { backup: first, content });
    await expect(requireCapability(artifact, 'backupWriter').publish(refOf(first))).rejects.toMatchObject({
      code: 'verify.totalsDiffer',
    });
  });

  it('refers to rows that have not changed, under the same key and form only, and each backup stands alone', async () => {
    const disk = new MemoryDisk();
    const files = openMemoryFiles(disk, { encryption: newKeys() });
    await backUp(files, { backup: first, content });
    const changed = { ...content, trades_1: [['a', 'b', 'x']] };
    const summary = await backUp(files, { backup: second, content: changed, basedOn: first });
    expect(summary.storedBytes).toBeGreaterThan(0);
    expect(disk.keys(`${path}/data/`)).toHaveLength(unitsOf(content).length + 1);
    expect(await restore(files, second)).toEqual(asRestored(changed));
    expect(await restore(files, first)).toEqual(asRestored(content));
    // Encryption turned on: everything anew.
    const sealed = await backUp(files, { backup: third, content: changed, basedOn: second, encrypt: true });
    expect(sealed.referredBytes).toBe(0);
  });

  it('writes rows anew whose earlier object is gone, or whose earlier backup cannot be read', async () => {
    const disk = new MemoryDisk();
    const files = openMemoryFiles(disk);
    await backUp(files, { backup: first, content });
    const [gone = ''] = disk.keys(`${path}/data/`);
    disk.objects.delete(gone);
    await backUp(openMemoryFiles(disk), { backup: second, content, basedOn: first });
    expect(await restore(files, second)).toEqual(asRestored(content));
    const [page = ''] = disk.keys(`${path}/backups/${second}/chunks`);
    disk.objects.delete(page);
    const last = await backUp(openMemoryFiles(disk), { backup: third, content, basedOn: second });
    expect(last.referredBytes).toBe(0);
  });

  it('belongs to one job, refuses a path with other things in it, and is free again when nothing is left', async () => {
    const disk = new MemoryDisk();
    const files = openMemoryFiles(disk);
    const artifact = await prepare(files, { backup: first, content });
    const writer = requireCapability(artifact, 'backupWriter');
    const foreign = { ...beginOf({ backup: second, content }), ref: refOf(second, { job: 'other' }) };
    await expect(writer.begin(foreign)).rejects.toMatchObject({ code: 'artifact.foreign' });
    const ledger = requireCapability(artifact, 'loadLedger');
    await ledger.forget('other');
    expect(disk.keys()).not.toEqual([]);
    await ledger.forget(job);
    expect(disk.keys()).toEqual([]);
    disk.put(`${path}/photo.jpg`, Buffer.from('x'));
    const findings = await requireCapability(artifact, 'tableReader').preflight('target', []);
    expect(findings.map(({ code }) => code)).toEqual(['artifact.foreign']);
  });

  it('moves the watermark forward only', async () => {
    const { watermarks } = requireCapability(
      openArtifact(openMemoryFiles(new MemoryDisk()), { path, backup: null }),
      'loadLedger',
    );
    expect(await watermarks.get(job)).toBeNull();
    for (const to of ['2026-01-02', '2026-01-01', '2026-01-03', '2026-01-02'])
      await watermarks.advance(job, to, 'load');
    expect(await watermarks.get(job)).toBe('2026-01-03');
    expect(await watermarks.get('other')).toBeNull();
  });
});
