import { randomUUID } from 'node:crypto';
import { appendFile, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { StageInput } from '../../../definitions/contracts/backup-restore.ts';
import type { ResolvedBackupRestoreJob, TableSelection } from '../../../definitions/contracts/job.ts';
import { noTotals } from '../../../planning/progress.ts';
import { openArtifact } from '../../../stores/artifact/open-artifact.ts';
import type { FileStore } from '../../../stores/spi/files.ts';
import { requireCapability, type Store } from '../../../stores/spi/store.ts';
import { type BackupLab, backupJob, openBackupLab } from '../../support/backup-job.ts';
import { createDatabasePair, type DatabasePair } from '../../support/postgres.ts';
import { contentOf } from '../../support/table-content.ts';

/** What a run finds that others have left: by retry, after a change of the job, of the tables, or of the places. */

let databases: DatabasePair;
let lab: BackupLab;

beforeAll(async () => {
  databases = await createDatabasePair();
  lab = await openBackupLab(databases);
});
afterAll(async () => {
  await lab.close();
  await databases.drop();
});
beforeEach(() =>
  databases.source.query(
    `CREATE TABLE public.trades (ts timestamptz NOT NULL, sym text NOT NULL, qty int, PRIMARY KEY (ts, sym)) PARTITION BY RANGE (ts);
     CREATE TABLE public.trades_1 PARTITION OF public.trades FOR VALUES FROM (MINVALUE) TO ('2026-01-02 00:00+08');
     CREATE TABLE public.trades_2 PARTITION OF public.trades FOR VALUES FROM ('2026-01-02 00:00+08') TO (MAXVALUE)`,
  ),
);
afterEach(async () => {
  const empty = 'DROP SCHEMA public CASCADE; CREATE SCHEMA public';
  await databases.source.query(empty);
  await databases.target.query(empty);
});

const day = (number: number): string => `2026-01-0${String(number)}T22:30:00+08:00`;
const window: NonNullable<TableSelection['window']> = {
  column: 'ts',
  from: { kind: 'watermark', initial: '2026-01-01T00:00:00+08:00' },
  to: { kind: 'relative', days: 0, ms: 0 },
  timezone: 'Asia/Shanghai',
};

async function insert(number: number): Promise<void> {
  await databases.source.query(`INSERT INTO public.trades VALUES ($1, $2, 1)`, [
    `2026-01-0${String(number)} 12:00:00+08`,
    `day ${String(number)}`,
  ]);
}

async function expectSame(table = 'public.trades'): Promise<void> {
  expect(await contentOf(databases.target, table)).toEqual(await contentOf(databases.source, table));
}

async function threeDays(
  more: Partial<Parameters<typeof backupJob>[0]> = {},
): Promise<ResolvedBackupRestoreJob> {
  const job = backupJob({ tables: [{ pattern: 'public.trades', window }], ...more });
  for (const number of [1, 2, 3]) {
    await insert(number);
    await lab.run({ ...job, stages: ['backup'] }, { scheduledTime: day(number) });
  }
  return job;
}

const inputOf = (job: ResolvedBackupRestoreJob, more: Partial<StageInput> = {}): StageInput => ({
  ...{ job, run: randomUUID(), scheduledTime: day(1), backup: null, verified: false },
  ...more,
});

it.each([
  { what: 'type', value: 'i', type: 'int', other: 'text' },
  {
    what: 'collation',
    value: `chr(65 + i % 50) || i`,
    type: 'text COLLATE "C"',
    other: 'text COLLATE "und-x-icu"',
  },
])('slices of a key that has become another $what hold each row once', async ({ value, type, other }) => {
  await databases.source.query(
    `CREATE TABLE public.big (id ${type} PRIMARY KEY, t text);
     INSERT INTO public.big SELECT ${value}, repeat(md5(i::text), 5) FROM generate_series(1, 6000) i; ANALYZE`,
  );
  const job = backupJob({ tables: [{ pattern: 'public.big', chunkBytes: 100_000 }], stages: ['backup'] });
  const [first] = await lab.run(job, { scheduledTime: day(1) });
  expect(first?.prepared.plan.units).toBeGreaterThan(2);
  await databases.source.query(`ALTER TABLE public.big ALTER id TYPE ${other}`);
  const [second] = await lab.run(job, { scheduledTime: day(2) });
  expect(second?.totals.rowsRead).toBe(6000);
});

interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

function gate(): Gate {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return {
    opened,
    open: () => {
      open();
    },
  };
}

/** The artifact as a worker sees it that stands still before some of its requests. */
function openSlowly(
  { backup: { path } }: ResolvedBackupRestoreJob,
  before: (request: 'list' | 'write', key: string) => Promise<void>,
): Store {
  const vault = lab.stores.get('vault');
  const files = requireCapability(vault, 'files');
  const slow: FileStore = {
    stat: (key, options) => files.stat(key, options),
    read: (key, options) => files.read(key, options),
    write: async (key, body, options) => {
      await before('write', key);
      return await files.write(key, body, options);
    },
    list: async function* (prefix) {
      await before('list', prefix);
      yield* files.list(prefix);
    },
    remove: (keys) => files.remove(keys),
    sweep: (prefix, ageMs) => files.sweep(prefix, ageMs),
  };
  const { kind, name } = vault;
  const check = (): ReturnType<Store['check']> => vault.check();
  return openArtifact(
    { kind, name, check, close: () => Promise.resolve(), capabilities: { files: slow } },
    { path, backup: null },
  );
}

it('a backup that was let go is not published again by an attempt that wakes up late', async () => {
  await insert(1);
  const job = backupJob({ tables: ['public.trades'], stages: ['backup'], keep: { last: 1 } });
  const input = inputOf(job);
  const prepared = await lab.act((all) => all.prepareBackup(input));
  for (const batch of await lab.batches(prepared)) await lab.load(job, { stage: 'backup', prepared, batch });
  const [asleep, woken] = [gate(), gate()];
  const slow = openSlowly(job, async (name, key) => {
    if (name !== 'write' || !key.includes('/schema-')) return;
    asleep.open();
    await woken.opened;
  });
  const late = requireCapability(slow, 'backupWriter').publish(prepared.ref);
  const outcome = late.catch((error: unknown) => error);
  await asleep.opened;
  await lab.act((all) => all.finishBackup({ ...input, ref: prepared.ref, totals: noTotals }));
  await databases.source.query(`UPDATE public.trades SET qty = 2`);
  const [newest] = await lab.run(job, { scheduledTime: day(2) });
  woken.open();
  expect(await outcome).toMatchObject({ code: 'target.superseded' });
  expect((await lab.catalog(job).list()).backups.map(({ backup }) => backup)).toEqual([newest?.backup]);
});

it('a prune that wakes up late leaves alone what later runs have made', async () => {
  await insert(1);
  const job = backupJob({ tables: ['public.trades'], stages: ['backup'] });
  for (const number of [1, 2]) {
    await databases.source.query(`UPDATE public.trades SET qty = ${String(number)}`);
    await lab.run(job, { scheduledTime: day(number) });
  }
  const [asleep, woken] = [gate(), gate()];
  const slow = openSlowly(job, async (name, key) => {
    if (name !== 'list' || !key.endsWith('/work/')) return;
    asleep.open();
    await woken.opened;
  });
  const pruning = requireCapability(slow, 'backupCatalog').prune({ last: 1, days: null, now: day(3) });
  await asleep.opened;
  await databases.source.query(`UPDATE public.trades SET qty = 3`);
  const [newest] = await lab.run(job, { scheduledTime: day(3) });
  woken.open();
  await pruning;
  const { backups } = await lab.catalog(job).list();
  expect(backups.map(({ backup }) => backup)).toContain(newest?.backup);
  await lab.run({ ...job, stages: ['restore'] });
  await expectSame();
});

it('retry goes on with the load of this backup, not with that of another', async () => {
  await insert(1);
  const job = backupJob({ tables: ['public.trades'], stages: ['backup', 'transfer', 'restore'] });
  const [first] = await lab.run(job, { scheduledTime: day(1) });
  const second = await lab.stage('backup', inputOf(job, { scheduledTime: day(2) }));
  expect(second.backup).not.toBe(first?.backup);
  for (const stage of ['transfer', 'restore'] as const) {
    const again = inputOf(job, { backup: second.backup, scheduledTime: day(3) });
    expect(await lab.act((all) => all.latestStage({ ...again, stage }))).toBeNull();
    const known = inputOf(job, { backup: first?.backup ?? null, scheduledTime: day(3) });
    expect(await lab.act((all) => all.latestStage({ ...known, stage }))).toMatchObject({
      backup: first?.backup,
    });
  }
});

it('a backup that retry finishes under another run leaves nothing of that run', async () => {
  await insert(1);
  const job = backupJob({ tables: ['public.trades'], stages: ['backup'] });
  const input = inputOf(job);
  const prepared = await lab.act((all) => all.prepareBackup(input));
  for (const batch of await lab.batches(prepared)) await lab.load(job, { stage: 'backup', prepared, batch });
  const again = inputOf(job, { scheduledTime: day(2), backup: prepared.backup });
  const found = await lab.act((all) => all.latestStage({ ...again, stage: 'backup' }));
  expect(found?.ref).toEqual(prepared.ref);
  await databases.source.query('CREATE INDEX ON public.trades_1 (qty)');
  await lab.act((all) => all.finishBackup({ ...again, ref: prepared.ref, totals: noTotals }));
  expect(await readdir(join(lab.vault, job.backup.path, 'plans'))).toEqual([prepared.backup]);
});

async function objectsAt(root: string, { backup }: ResolvedBackupRestoreJob): Promise<string[]> {
  const found = await readdir(join(root, backup.path, 'data'), { recursive: true, withFileTypes: true });
  return found.filter((file) => file.isFile()).map((file) => join(file.parentPath, file.name));
}

it('an object that went bad at the far end after its transfer is found before the target changes', async () => {
  await insert(1);
  await insert(2);
  const job = backupJob({ tables: ['public.trades'], stages: ['backup', 'transfer'] });
  await lab.run(job);
  const [file = ''] = (await objectsAt(lab.far, job)).sort().reverse();
  const bytes = await readFile(file);
  bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1);
  await writeFile(file, bytes);
  const again: ResolvedBackupRestoreJob = { ...job, stages: ['transfer', 'restore'] };
  await expect(lab.run(again)).rejects.toThrow('other bytes');
});

it('a restore of more than before begins anew with the oldest', async () => {
  const job = await threeDays();
  const some = [{ pattern: 'public.trades', chunks: '%\\_1', chunkBytes: 1e9 }];
  if (job.restore === undefined) throw new Error('no restore');
  await lab.run({ ...job, stages: ['restore'], restore: { ...job.restore, tables: some } });
  await lab.run({ ...job, stages: ['restore'] });
  await expectSame();
});

it.each(['replace', 'append', 'upsert'] as const)(
  'a table that is gone from the target comes back whole by %s',
  async (mode) => {
    const job = await threeDays({ mode });
    await lab.run({ ...job, stages: ['restore'] });
    await expectSame();
    await databases.target.query('DROP TABLE public.trades');
    await lab.run({ ...job, stages: ['restore'] });
    await expectSame();
  },
);

it('keep never lets go what the kept windows stand on', async () => {
  const keep = { last: 2 };
  const job = backupJob({ tables: ['public.trades'], keep, stages: ['backup'] });
  await databases.source.query(`INSERT INTO public.trades VALUES ('2025-12-01', 'old', 1)`);
  await lab.run(job, { scheduledTime: '2025-12-31T22:30:00+08:00' });
  await threeDays({ name: job.name, keep });
  await lab.run({ ...job, stages: ['restore'] });
  await expectSame();
});

it('an object lost at the far end before publishing is brought again', async () => {
  await insert(1);
  const job = backupJob({ tables: ['public.trades'], stages: ['backup', 'transfer'] });
  const made = await lab.stage('backup', inputOf(job));
  const input = inputOf(job, { backup: made.backup });
  const prepared = await lab.act((all) => all.prepareTransfer(input));
  const batches = await lab.batches(prepared);
  for (const batch of batches) await lab.load(job, { stage: 'transfer', prepared, batch });
  const [file = ''] = await objectsAt(lab.far, job);
  await rm(file);
  const finish = { ...input, ref: prepared.ref, totals: noTotals };
  await expect(lab.act((all) => all.finishTransfer(finish))).rejects.toMatchObject({
    code: 'artifact.corrupt',
  });
  await lab.stage('transfer', { ...input, run: randomUUID() });
  expect((await lab.catalog(job, 'far').list()).backups).toHaveLength(1);
});

it('a transfer that chooses is refused while the newest manifest cannot be read', async () => {
  await insert(1);
  const job = backupJob({ tables: ['public.trades'], stages: ['backup', 'transfer'] });
  await lab.run({ ...job, stages: ['backup'] }, { scheduledTime: day(1) });
  const [newest] = await lab.run({ ...job, stages: ['backup'] }, { scheduledTime: day(2) });
  await appendFile(join(lab.vault, job.backup.path, 'backups', newest?.backup ?? '', 'manifest.json'), 'x');
  await expect(lab.run({ ...job, stages: ['transfer'] })).rejects.toMatchObject({
    type: 'preflight.refused',
  });
});

it('what was checked of another backup does not count', async () => {
  await insert(1);
  const job = backupJob({ tables: ['public.trades'], stages: ['backup'] });
  const [made] = await lab.run(job);
  const [file = ''] = await objectsAt(lab.vault, job);
  await rm(file);
  const heartbeatDetails = { step: 'checking', backup: 'another', checked: 1_000, bytes: 1 };
  const input = inputOf(job, { backup: made?.backup ?? null });
  await expect(lab.act((all) => all.prepareRestore(input), { heartbeatDetails })).rejects.toMatchObject({
    type: 'preflight.refused',
  });
});

it('windows that were let go before they were restored are missed aloud', async () => {
  const job = await threeDays();
  const restoring: ResolvedBackupRestoreJob = { ...job, stages: ['restore'] };
  await lab.run({ ...restoring }, { backup: (await lab.catalog(job).list()).backups.at(-1)?.backup ?? null });
  await lab.catalog(job).prune({ last: 1, days: null, now: day(3) });
  const [missing] = await lab.run(restoring);
  expect(missing?.prepared.warnings).toEqual([expect.stringContaining('public.trades before 2026-01-02')]);
  await insert(4);
  await lab.run({ ...job, stages: ['backup'] }, { scheduledTime: day(4) });
  const [joined] = await lab.run(restoring);
  expect(joined?.prepared.warnings).toEqual([]);
});
