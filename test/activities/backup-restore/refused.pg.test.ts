import { cp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { ResolvedBackupRestoreJob } from '../../../definitions/contracts/job.ts';
import { type BackupLab, backupJob, newKey, openBackupLab } from '../../support/backup-job.ts';
import { createDatabasePair, type DatabasePair } from '../../support/postgres.ts';
import { contentOf } from '../../support/table-content.ts';

/** What is wrong with a backup is found, and named, before anything on the target changes. */

let databases: DatabasePair;
let lab: BackupLab;
let job: ResolvedBackupRestoreJob;
let untouched: readonly string[];
const key = newKey();

beforeAll(async () => {
  databases = await createDatabasePair();
  await databases.source.query(
    `CREATE TABLE public.parts (id int PRIMARY KEY, t text) PARTITION BY HASH (id);
     CREATE TABLE public.parts_0 PARTITION OF public.parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
     CREATE TABLE public.parts_1 PARTITION OF public.parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
     INSERT INTO public.parts SELECT i, md5(i::text) FROM generate_series(1, 2000) i`,
  );
  await databases.target.query(
    `CREATE TABLE public.parts (id int PRIMARY KEY, t text) PARTITION BY HASH (id);
     CREATE TABLE public.parts_0 PARTITION OF public.parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
     CREATE TABLE public.parts_1 PARTITION OF public.parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
     INSERT INTO public.parts VALUES (-1, 'old')`,
  );
  untouched = await contentOf(databases.target, 'public.parts');
});
afterAll(() => databases.drop());

beforeEach(async () => {
  lab = await openBackupLab(databases, { key });
  job = backupJob({ tables: ['public.parts'], stages: ['backup'], backup: { encrypt: true } });
  await lab.run(job);
  job = { ...job, stages: ['restore'] };
  return () => lab.close();
});

async function objects(): Promise<string[]> {
  const root = join(lab.vault, job.backup.path, 'data');
  const files = await readdir(root, { recursive: true, withFileTypes: true });
  return files.filter((file) => file.isFile()).map((file) => join(file.parentPath, file.name));
}

interface Refusal {
  readonly code: string;
  /** Part of the message, which names the object. */
  readonly names: string;
}

async function expectRefused(at: BackupLab, { code, names }: Refusal): Promise<void> {
  const refused = {
    type: 'preflight.refused',
    details: [
      expect.arrayContaining([
        expect.objectContaining({ code, message: expect.stringContaining(names) as string }),
      ]),
    ],
  };
  await expect(at.run(job)).rejects.toMatchObject(refused);
  expect(await contentOf(databases.target, 'public.parts')).toEqual(untouched);
}

it('a flipped bit', async () => {
  const [file = ''] = await objects();
  const bytes = await readFile(file);
  const middle = bytes.length >> 1;
  bytes.writeUInt8(bytes.readUInt8(middle) ^ 1, middle);
  await writeFile(file, bytes);
  await expectRefused(lab, { code: 'artifact.corrupt', names: file.slice(lab.vault.length + 1) });
});

it('a truncated object, also when only sizes are looked at', async () => {
  const [, file = ''] = await objects();
  await truncate(file, 100);
  const { restore } = job;
  if (restore !== undefined) job = { ...job, restore: { ...restore, check: 'sizes' } };
  await expectRefused(lab, { code: 'artifact.corrupt', names: file.slice(lab.vault.length + 1) });
});

it('a missing object', async () => {
  const [file = ''] = await objects();
  await rm(file);
  await expectRefused(lab, { code: 'files.missing', names: file.slice(lab.vault.length + 1) });
});

it('another key, and no key', async () => {
  const other = await openBackupLab(databases, { key: newKey(), over: lab });
  await expectRefused(other, { code: 'artifact.wrongKey', names: 'key' });
  await other.close();
  const none = await openBackupLab(databases, { over: lab });
  await expectRefused(none, { code: 'artifact.wrongKey', names: 'key' });
  await none.close();
});

it('an earlier key of the store still opens what it sealed', async () => {
  const rotated = await openBackupLab(databases, { key: newKey(), earlierKeys: [key], over: lab });
  await rotated.run(job);
  expect(await contentOf(databases.target, 'public.parts')).toEqual(
    await contentOf(databases.source, 'public.parts'),
  );
  await rotated.close();
  await databases.target.query(`TRUNCATE public.parts; INSERT INTO public.parts VALUES (-1, 'old')`);
});

async function manifest(): Promise<string> {
  const [{ backup } = { backup: '' }] = (await lab.catalog(job).list()).backups;
  return join(lab.vault, job.backup.path, 'backups', backup, 'manifest.json');
}

it('a manifest of a newer version', async () => {
  const file = await manifest();
  const newer = (await readFile(file, 'utf8')).replace('"format":1', '"format":3');
  await writeFile(file, newer);
  await expectRefused(lab, { code: 'artifact.newerFormat', names: 'format 3' });
});

it('a manifest that was changed', async () => {
  const file = await manifest();
  await writeFile(file, (await readFile(file, 'utf8')).replace('"rows":2000', '"rows":1999'));
  await expectRefused(lab, { code: 'artifact.corrupt', names: 'manifest' });
});

it('an object with the rows of another, which has the right size', async () => {
  const [one = '', other = ''] = await objects();
  await cp(one, other);
  await expectRefused(lab, { code: 'artifact.corrupt', names: other.slice(lab.vault.length + 1) });
});

it('no backup at all, and one that is not there', async () => {
  job = { ...job, backup: { ...job.backup, path: 'elsewhere' } };
  await expectRefused(lab, { code: 'artifact.missing', names: 'elsewhere' });
  const { restore } = job;
  if (restore !== undefined)
    job = { ...job, restore: { ...restore, backup: '20200101T000000000Z-00000000' } };
  await expectRefused(lab, { code: 'artifact.missing', names: '20200101T000000000Z-00000000' });
});

it('rows in binary form into a column of another type, and the same rows as CSV go in', async () => {
  await databases.target.query('CREATE TABLE public.wider (id bigint PRIMARY KEY, t text, more int)');
  const into = [{ pattern: 'public.parts', targetTable: 'wider' }];
  const binary = backupJob({ tables: ['public.parts'], restoreTables: into, mode: 'append' });
  await expect(lab.run(binary)).rejects.toMatchObject({
    type: 'preflight.refused',
    message: expect.stringContaining('binary') as string,
  });
  await lab.run(
    backupJob({ tables: ['public.parts'], restoreTables: into, mode: 'append', backup: { format: 'csv' } }),
  );
  const [counted] = await databases.target.query(
    'SELECT count(*)::int AS rows, max(id)::int AS id FROM public.wider',
  );
  expect(counted).toEqual({ rows: 2000, id: 2000 });
});

it('a backup without a key to encrypt it, at the plan and at the start', async () => {
  const none = await openBackupLab(databases);
  const sealed = backupJob({ tables: ['public.parts'], backup: { encrypt: true } });
  const input = {
    job: sealed,
    run: 'r',
    scheduledTime: '2026-01-01T00:00:00Z',
    backup: null,
    verified: false,
  };
  const plan = await none.act((all) => all.planBackupRestore(input));
  expect(plan.findings).toMatchObject([
    { severity: 'warning' },
    { severity: 'error', code: 'artifact.wrongKey' },
  ]);
  expect(plan).toMatchObject({
    chunks: 2,
    stages: [
      { stage: 'backup', chunks: 2 },
      { stage: 'restore', chunks: null },
    ],
  });
  await expect(none.run(sealed)).rejects.toMatchObject({ type: 'preflight.refused' });
  await none.close();
});

it('a path with the backups of another job', async () => {
  const foreign = backupJob({ tables: ['public.parts'], path: job.backup.path });
  await expect(lab.run(foreign)).rejects.toThrow(job.name);
});
