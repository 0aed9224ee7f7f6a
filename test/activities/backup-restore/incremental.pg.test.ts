import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type BackupLab, backupJob, openBackupLab } from '../../support/backup-job.ts';
import { createDatabasePair, type DatabasePair } from '../../support/postgres.ts';
import { contentOf } from '../../support/table-content.ts';

let databases: DatabasePair;
let lab: BackupLab;

beforeAll(async () => {
  databases = await createDatabasePair();
  const partitions = Array.from(
    { length: 8 },
    (_, index) =>
      `CREATE TABLE public.parts_${String(index)} PARTITION OF public.parts FOR VALUES FROM (${String(index * 500)}) TO (${String((index + 1) * 500)});`,
  );
  await databases.source.query(
    `CREATE TABLE public.parts (id int PRIMARY KEY, t text) PARTITION BY RANGE (id); ${partitions.join('')}
     INSERT INTO public.parts SELECT i, md5(i::text) FROM generate_series(0, 3999) i;
     CREATE TABLE public.big (id int PRIMARY KEY, t text);
     INSERT INTO public.big SELECT i, repeat(md5(i::text), 5) FROM generate_series(1, 6000) i; ANALYZE`,
  );
  lab = await openBackupLab(databases);
});
afterAll(async () => {
  await lab.close();
  await databases.drop();
});

/** How many objects with rows are there. */
async function objects(path: string): Promise<number> {
  const files = await readdir(join(lab.vault, path, 'data'), { recursive: true, withFileTypes: true });
  return files.filter((file) => file.isFile()).length;
}

const due = (day: number): string => `2026-03-0${String(day)}T00:00:00Z`;

it('an incremental backup writes what has changed, and each backup can be restored alone', async () => {
  const job = backupJob({
    tables: ['public.parts', { pattern: 'public.big', chunkBytes: 400_000 }],
    stages: ['backup'],
  });
  const [first] = await lab.run(job, { scheduledTime: due(1) });
  const before = await contentOf(databases.source, 'public.parts');
  const slices = (first?.prepared.plan.units ?? 0) - 8;
  expect(slices).toBeGreaterThan(2);
  expect(await objects(job.name)).toBe(8 + slices);

  await databases.source.query(
    `UPDATE public.parts SET t = 'changed' WHERE id = 3; DELETE FROM public.big WHERE id = 1`,
  );
  const [second] = await lab.run(job, { scheduledTime: due(2) });
  expect(second?.prepared.plan.units).toBe(first?.prepared.plan.units);
  expect(await objects(job.name)).toBe(8 + slices + 2);
  const [newest, oldest] = (await lab.catalog(job).list()).backups;
  expect(newest).toMatchObject({ basedOn: oldest?.backup, rows: 4000 + 5999 });
  expect(newest?.referredBytes).toBeGreaterThan(newest?.storedBytes ?? 0);

  await lab.run(job, { scheduledTime: due(3) });
  expect(await objects(job.name)).toBe(8 + slices + 2);

  const restore = { ...job, stages: ['restore'] as const };
  await lab.run(restore, { backup: oldest?.backup ?? null });
  expect(await contentOf(databases.target, 'public.parts')).toEqual(before);
  await lab.run(restore);
  for (const table of ['public.parts', 'public.big'])
    expect(await contentOf(databases.target, table)).toEqual(await contentOf(databases.source, table));
});

it('what no kept backup refers to is let go, and what one refers to stays', async () => {
  const job = backupJob({ tables: ['public.parts'], stages: ['backup'], keep: { last: 2 } });
  await lab.run(job, { scheduledTime: due(1) });
  for (const day of [2, 3, 4]) {
    await databases.source.query(`UPDATE public.parts SET t = t || 'x' WHERE id = 700`);
    await lab.run(job, { scheduledTime: due(day) });
  }
  const { backups } = await lab.catalog(job).list();
  expect(backups.map((one) => one.scheduledTime.slice(0, 10))).toEqual(['2026-03-04', '2026-03-03']);
  // Seven that never changed, and two of the one that did.
  expect(await objects(job.name)).toBe(9);
  for (const { backup } of [...backups].reverse()) await lab.run({ ...job, stages: ['restore'] }, { backup });
  expect(await contentOf(databases.target, 'public.parts')).toEqual(
    await contentOf(databases.source, 'public.parts'),
  );
});

it('a full backup again is written whole when it is not to be incremental', async () => {
  const job = backupJob({ tables: ['public.parts'], stages: ['backup'], backup: { incremental: false } });
  await lab.run(job, { scheduledTime: due(1) });
  await lab.run(job, { scheduledTime: due(2) });
  expect(await objects(job.name)).toBe(16);
});

it('restoring what is there already writes nothing', async () => {
  const job = backupJob({ tables: ['public.parts', { pattern: 'public.big', chunkBytes: 400_000 }] });
  await databases.target.query('DROP TABLE IF EXISTS public.parts, public.big');
  const [, once] = await lab.run(job);
  expect(once?.moved).toBeGreaterThan(0);
  const filenodes = `SELECT string_agg(relfilenode::text, ',' ORDER BY relname) AS nodes FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace`;
  const before = await databases.target.query(filenodes);
  const [again] = await lab.run({ ...job, stages: ['restore'] });
  expect(again?.moved).toBe(0);
  expect(again?.totals.rowsWritten).toBe(once?.totals.rowsWritten);
  expect(await databases.target.query(filenodes)).toEqual(before);

  await databases.target.query(`UPDATE public.parts SET t = 'damaged' WHERE id = 42`);
  const [repaired] = await lab.run({ ...job, stages: ['restore'] });
  expect(repaired?.results.filter((result) => result.bytes > 0)).toHaveLength(1);
  expect(await contentOf(databases.target, 'public.parts')).toEqual(
    await contentOf(databases.source, 'public.parts'),
  );
});

it.each(['append', 'upsert'] as const)('restoring twice by %s leaves the same rows', async (mode) => {
  await databases.target.query('DROP TABLE IF EXISTS public.parts, public.big');
  const job = backupJob({ tables: ['public.parts'], mode, restore: { only: 'all' } });
  const expected = await contentOf(databases.source, 'public.parts');
  await lab.run(job);
  expect(await contentOf(databases.target, 'public.parts')).toEqual(expected);
  const state = `SELECT max(xmin::text::bigint) AS newest, count(*) AS rows FROM public.parts`;
  const before = await databases.target.query(state);
  await lab.run({ ...job, stages: ['restore'] });
  expect(await databases.target.query(state)).toEqual(before);
});

it('appending another backup of the same rows is refused', async () => {
  await databases.target.query('DROP TABLE IF EXISTS public.parts');
  const job = backupJob({ tables: ['public.parts'], mode: 'append' });
  await lab.run(job, { scheduledTime: due(1) });
  await lab.run({ ...job, stages: ['backup'] }, { scheduledTime: due(2) });
  await expect(lab.run({ ...job, stages: ['restore'] })).rejects.toMatchObject({
    type: 'preflight.refused',
    message: expect.stringContaining('another backup') as string,
  });
});
