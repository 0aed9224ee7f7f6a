import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { StageInput } from '../../../definitions/contracts/backup-restore.ts';
import type { BackupStage, ResolvedBackupRestoreJob } from '../../../definitions/contracts/job.ts';
import { type BackupLab, backupJob, openBackupLab } from '../../support/backup-job.ts';
import { createDatabasePair, type DatabasePair } from '../../support/postgres.ts';
import { contentOf } from '../../support/table-content.ts';
import { SynclineError } from '../../../definitions/errors.ts';

let databases: DatabasePair;
let lab: BackupLab;
/** Fails once when the point is reached. */
let failing: string | null = null;

beforeAll(async () => {
  databases = await createDatabasePair();
  await databases.source.query(
    `CREATE TABLE public.trades (ts timestamptz NOT NULL, id int NOT NULL, note text, PRIMARY KEY (ts, id)) PARTITION BY RANGE (ts);
     CREATE TABLE public.trades_01 PARTITION OF public.trades FOR VALUES FROM ('2026-01-01 00:00+00') TO ('2026-02-01 00:00+00');
     CREATE TABLE public.trades_02 PARTITION OF public.trades FOR VALUES FROM ('2026-02-01 00:00+00') TO ('2026-03-01 00:00+00');
     CREATE TABLE public.trades_03 PARTITION OF public.trades FOR VALUES FROM ('2026-03-01 00:00+00') TO ('2026-04-01 00:00+00');
     INSERT INTO public.trades SELECT timestamptz '2026-01-01 00:00+00' + i * interval '1 hour', i, md5(i::text) FROM generate_series(0, 2000) i;
     ANALYZE`,
  );
  lab = await openBackupLab(databases, {
    fault: (point) => {
      if (point !== failing) return Promise.resolve();
      failing = null;
      return Promise.reject(new SynclineError('fault.injected', `At ${point}.`));
    },
  });
});
afterAll(async () => {
  await lab.close();
  await databases.drop();
});
afterEach(async () => {
  await databases.target.query(
    'DROP SCHEMA public CASCADE; CREATE SCHEMA public; DROP SCHEMA IF EXISTS archive CASCADE',
  );
});

async function expectSame(table = 'public.trades'): Promise<void> {
  expect(await contentOf(databases.target, table)).toEqual(
    await contentOf(databases.source, 'public.trades'),
  );
}

const inputOf = (job: ResolvedBackupRestoreJob): StageInput => ({
  job,
  run: 'the run',
  scheduledTime: '2026-05-01T00:00:00Z',
  backup: null,
  verified: false,
});

async function files(root: string, below: string): Promise<string[]> {
  try {
    const found = await readdir(join(root, below), { recursive: true, withFileTypes: true });
    return found.filter((file) => file.isFile()).map((file) => file.name);
  } catch {
    return [];
  }
}

it.each(['backup.mid', 'load.copied', 'swap.beforeCommit', 'swap.afterCommit', 'backup.beforeManifest'])(
  'a backup that failed at %s goes on where it was, and leaves nothing behind',
  async (point) => {
    const job = backupJob({ tables: ['public.trades'] });
    failing = point;
    await expect(lab.stage('backup', inputOf(job))).rejects.toMatchObject({ code: 'fault.injected' });
    expect((await lab.catalog(job).list()).backups).toEqual([]);
    const made = await lab.stage('backup', inputOf(job), { attempt: 2 });
    expect(made.totals).toMatchObject({ unitsDone: 3, rowsRead: 2001 });
    expect(await files(lab.vault, `${job.backup.path}/data`)).toHaveLength(3);
    // Whoever finished, and died before saying so, is answered the same.
    const { prepared, totals } = made;
    const again = await lab.act((all) => all.finishBackup({ ...inputOf(job), ref: prepared.ref, totals }));
    expect(again).toMatchObject({ backup: made.backup, totals: { unitsDone: 3, rowsRead: 2001 } });
    await lab.stage('restore', { ...inputOf(job), backup: made.backup });
    await expectSame();
  },
);

it('three stages: back up, bring over, restore from the far end', async () => {
  const job = backupJob({
    tables: ['public.trades'],
    stages: ['backup', 'transfer', 'restore'],
    keep: { last: 1 },
  });
  const [made, moved, restored] = await lab.run(job);
  expect(moved?.moved).toBeGreaterThan(0);
  expect(restored?.prepared.ref.sourceStore).toBe('far');
  expect(await files(lab.far, `${job.backup.path}/data`)).toHaveLength(3);
  await expectSame();
  // Only what is new travels the next time.
  await databases.source.query(`UPDATE public.trades SET note = 'x' WHERE id = 1000`);
  const [next, second] = await lab.run(job);
  expect(second?.moved).toBeLessThan((moved?.moved ?? 0) / 1.5);
  expect((await lab.catalog(job, 'far').list()).backups.map((one) => one.backup)).toEqual([next?.backup]);
  expect(next?.backup).not.toBe(made?.backup);
  await expectSame();
});

it('a transfer that failed half-way brings only what is missing', async () => {
  const job = backupJob({ tables: ['public.trades'], stages: ['backup', 'transfer'] });
  const made = await lab.stage('backup', inputOf(job));
  const input = { ...inputOf(job), backup: made.backup };
  failing = 'transfer.mid';
  await expect(lab.stage('transfer', input)).rejects.toMatchObject({ code: 'fault.injected' });
  await expect(lab.catalog(job, 'far').read(made.backup)).rejects.toMatchObject({ code: 'artifact.missing' });
  const moved = await lab.stage('transfer', input, { attempt: 2 });
  const { storedBytes } = await lab.catalog(job, 'far').read(made.backup);
  expect(moved.moved).toBeGreaterThan(0);
  expect(storedBytes).toBeGreaterThan(0);
  const again = await lab.stage('transfer', { ...input, run: 'another run' });
  expect(again.moved).toBe(0);
  await lab.stage('restore', { ...input, verified: true });
  await expectSame();
});

it.each(['load.mid', 'load.copied', 'swap.beforeCommit', 'swap.afterCommit'])(
  'a restore that failed at %s shows old or new partitions, and goes on',
  async (point) => {
    const job = backupJob({ tables: ['public.trades'] });
    const made = await lab.stage('backup', inputOf(job));
    const input = { ...inputOf(job), backup: made.backup };
    failing = point;
    await expect(lab.stage('restore', input)).rejects.toMatchObject({ code: 'fault.injected' });
    const counts = await databases.target.query<{ rows: number }>(
      `SELECT (SELECT count(*) FROM ONLY public.trades_01)::int AS rows UNION ALL SELECT (SELECT count(*) FROM public.trades_02)::int
        UNION ALL SELECT (SELECT count(*) FROM public.trades_03)::int`,
    );
    for (const [index, { rows }] of counts.entries()) expect([0, [744, 672, 585][index]]).toContain(rows);
    await lab.stage('restore', input, { attempt: 2 });
    await expectSame();
  },
);

it('into another schema under another name, and into a table with other partitions', async () => {
  const job = backupJob({ tables: ['public.trades'], stages: ['backup'] });
  await lab.run(job);
  const restore = (tables: Parameters<typeof backupJob>[0]['restoreTables']): ResolvedBackupRestoreJob =>
    backupJob({ name: job.name, tables: [], stages: ['restore'], ...(tables && { restoreTables: tables }) });
  await lab.run(restore([{ pattern: 'public.trades', targetSchema: 'archive', targetTable: 'deals' }]));
  await expectSame('archive.deals');
  const leaves = await databases.target.query(
    `SELECT relname FROM pg_class WHERE relname LIKE 'deals\\_0_' AND relkind = 'r'`,
  );
  expect(leaves).toHaveLength(3);

  await databases.target.query(
    `CREATE TABLE public.trades (ts timestamptz NOT NULL, id int NOT NULL, note text, extra int) PARTITION BY LIST (id);
     CREATE TABLE public.trades_few PARTITION OF public.trades FOR VALUES IN (1, 2, 3);
     CREATE TABLE public.trades_rest PARTITION OF public.trades DEFAULT`,
  );
  await lab.run(restore(['public.trades']));
  const there = await contentOf(databases.target, 'public.trades', 'ts,id,note');
  expect(there).toEqual(await contentOf(databases.source, 'public.trades', 'ts,id,note'));
  await lab.run(restore(['public.trades']));
  expect(await contentOf(databases.target, 'public.trades', 'ts,id,note')).toEqual(there);
});

it('back into the very table that it was made from', async () => {
  const own = await openBackupLab({ source: databases.source, target: databases.source }, { over: lab });
  const job = backupJob({ tables: ['public.trades'] });
  const made = await own.stage('backup', inputOf(job));
  const before = await contentOf(databases.source, 'public.trades');
  await databases.source.query(`DELETE FROM public.trades WHERE id % 2 = 0`);
  await own.stage('restore', { ...inputOf(job), backup: made.backup });
  expect(await contentOf(databases.source, 'public.trades')).toEqual(before);
  await own.close();
});

it('a check that was interrupted goes on after the last object that was whole', async () => {
  const job = backupJob({ tables: ['public.trades'], stages: ['backup'] });
  const [made] = await lab.run(job);
  const input = { ...inputOf(job), backup: made?.backup ?? null };
  const checked = { step: 'checking', backup: made?.backup, checked: 1_000, bytes: 1 };
  const path = join(lab.vault, job.backup.path, 'data');
  const [folder = ''] = await readdir(path);
  const [file = ''] = await readdir(join(path, folder));
  await rm(join(path, folder, file));
  await expect(lab.act((all) => all.prepareRestore(input))).rejects.toMatchObject({
    type: 'preflight.refused',
  });
  await expect(
    lab.act((all) => all.prepareRestore(input), { heartbeatDetails: checked }),
  ).resolves.toMatchObject({ backup: made?.backup });
});

it('what is under way of each stage is found again by retry, and gone after remove; backups stay', async () => {
  const job = backupJob({ tables: ['public.trades'], stages: ['backup', 'transfer', 'restore'] });
  const input = inputOf(job);
  const half = async (stage: BackupStage, backup: string | null): Promise<string> => {
    const at = { ...input, backup };
    const prepared = await lab.act((all) =>
      stage === 'backup'
        ? all.prepareBackup(at)
        : stage === 'transfer'
          ? all.prepareTransfer(at)
          : all.prepareRestore(at),
    );
    const [batch] = await lab.batches(prepared);
    if (batch === undefined) throw new Error('no batch');
    await lab.load(job, { stage, prepared, batch });
    const latest = await lab.act((all) => all.latestStage({ ...input, stage }));
    expect(latest).toMatchObject({
      ref: prepared.ref,
      plan: prepared.plan,
      backup: prepared.backup,
      alreadyDone: 1,
    });
    const missing = await lab.act((all) =>
      all.listBatches({ ref: prepared.ref, after: 0, limit: 100, onlyMissing: true }),
    );
    expect(missing.batches).toHaveLength(prepared.plan.units - 1);
    return prepared.backup;
  };
  const made = await half('backup', null);
  await lab.stage('backup', input);
  await half('transfer', made);
  await lab.stage('transfer', { ...input, backup: made });
  await half('restore', made);
  for (const stage of ['backup', 'transfer', 'restore'] as const) {
    await lab.act((all) => all.removeStage({ ...input, stage }));
    await lab.act((all) => all.removeStage({ ...input, stage }));
    expect(await lab.act((all) => all.latestStage({ ...input, stage }))).toBeNull();
  }
  expect((await lab.catalog(job).list()).backups).toHaveLength(1);
  expect((await lab.catalog(job, 'far').list()).backups).toHaveLength(1);
  expect(await files(lab.vault, `${job.backup.path}/work`)).toEqual([]);
});
