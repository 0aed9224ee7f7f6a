import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { ResolvedBackupRestoreJob, TableSelection } from '../../../definitions/contracts/job.ts';
import { type BackupLab, backupJob, openBackupLab } from '../../support/backup-job.ts';
import { createDatabasePair, type DatabasePair } from '../../support/postgres.ts';
import { contentOf } from '../../support/table-content.ts';

/** A backup a day, at 22:30 in Shanghai, of what has come since the last one. */

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
  await databases.source.query('DROP TABLE public.trades');
  await databases.target.query('DROP TABLE IF EXISTS public.trades');
});

const window: TableSelection['window'] = {
  column: 'ts',
  from: { kind: 'watermark', initial: '2026-01-01T00:00:00+08:00' },
  to: { kind: 'relative', days: 0, ms: 0 },
  timezone: 'Asia/Shanghai',
};
const trades = { pattern: 'public.trades', window };
const day = (number: number): string => `2026-01-0${String(number)}T22:30:00+08:00`;

async function insert(...rows: readonly (readonly [string, string])[]): Promise<void> {
  for (const [ts, sym] of rows)
    await databases.source.query(`INSERT INTO public.trades VALUES ($1, $2, 1)`, [ts, sym]);
}

async function expectSame(): Promise<void> {
  const [there, here] = [databases.target, databases.source];
  expect(await contentOf(there, 'public.trades')).toEqual(await contentOf(here, 'public.trades'));
}

const rowsOf = (outcomes: Awaited<ReturnType<BackupLab['run']>>): readonly number[] =>
  outcomes.map((outcome) => outcome.totals.rowsWritten);

it.each(['replace', 'append', 'upsert'] as const)(
  'rows at midnight and between 22:30 and 24:00 come with the next run, once, by %s',
  async (mode) => {
    const job = backupJob({ tables: [trades], mode });
    await insert(
      ['2026-01-01 00:00:00+08', 'first instant'],
      ['2026-01-01 22:29:59.999999+08', 'just before'],
    );
    expect(rowsOf(await lab.run(job, { scheduledTime: day(1) }))).toEqual([2, 2]);
    await insert(
      ['2026-01-01 22:30:00+08', 'on the dot'],
      ['2026-01-01 23:59:59+08', 'late evening'],
      ['2026-01-02 00:00:00+08', 'midnight'],
    );
    expect(rowsOf(await lab.run(job, { scheduledTime: day(2) }))).toEqual([3, 3]);
    await expectSame();
    // The same run once more finds the watermark where it ended, and an empty window.
    expect(rowsOf(await lab.run(job, { scheduledTime: day(2) }))).toEqual([0, 0]);
    await insert(['2026-01-03 10:00:00+08', 'after two missed days']);
    expect(rowsOf(await lab.run(job, { scheduledTime: day(5) }))).toEqual([1, 1]);
    await expectSame();
  },
);

it('a run that died before its last stage leaves the watermark, and the next one takes its rows too', async () => {
  const job = backupJob({ tables: [trades], mode: 'append' });
  await insert(['2026-01-01 10:00:00+08', 'a']);
  await lab.stage('backup', { job, run: 'dead', scheduledTime: day(1), backup: null, verified: false });
  await insert(['2026-01-02 10:00:00+08', 'b']);
  expect(rowsOf(await lab.run(job, { scheduledTime: day(2) }))).toEqual([2, 2]);
  await expectSame();
});

it.each(['replace', 'append'] as const)(
  'windows that overlap, because a run died after it had published, come once by %s',
  async (mode) => {
    const job = backupJob({ tables: [trades], mode });
    const restoring = { ...job, stages: ['restore'] as const };
    const making = { ...job, stages: ['backup'] as const };
    await insert(['2026-01-01 10:00:00+08', 'a']);
    await lab.stage('backup', { job, run: 'dead', scheduledTime: day(1), backup: null, verified: false });
    expect(rowsOf(await lab.run(restoring))).toEqual([1]);
    await insert(['2026-01-02 10:00:00+08', 'b']);
    await lab.run(making, { scheduledTime: day(2) });
    await insert(['2026-01-03 10:00:00+08', 'c']);
    await lab.run(making, { scheduledTime: day(3) });
    const restored = await lab.run(restoring);
    expect(rowsOf(restored)).toEqual(mode === 'append' ? [1, 1] : [2, 1]);
    const said = restored
      .flatMap(({ prepared }) => prepared.warnings)
      .filter((one) => one.includes('left out'));
    expect(said).toHaveLength(mode === 'append' ? 1 : 0);
    await expectSame();
    await lab.run(restoring);
    await expectSame();
  },
);

async function threeDays(name: string): Promise<ResolvedBackupRestoreJob> {
  const job = backupJob({ tables: [trades], name });
  const making = { ...job, stages: ['backup'] as const };
  for (const number of [1, 2, 3]) {
    await insert(
      [`2026-01-0${String(number)} 12:00:00+08`, 'noon'],
      [`2026-01-0${String(number)} 20:00:00+08`, 'evening'],
    );
    await lab.run(making, { scheduledTime: day(number) });
  }
  return job;
}

it('a site that was away restores every window it lacks, oldest first, and nothing twice', async () => {
  const job = await threeDays('chain');
  const restoring = { ...job, stages: ['restore'] as const };
  const outcomes = await lab.run(restoring);
  expect(outcomes.map((outcome) => outcome.backup.slice(0, 8))).toEqual(['20260101', '20260102', '20260103']);
  expect(rowsOf(outcomes)).toEqual([2, 2, 2]);
  expect(outcomes.map((outcome) => outcome.more)).toEqual([true, true, false]);
  await expectSame();
  expect((await lab.run(restoring)).map((outcome) => outcome.moved)).toEqual([0]);
});

it('a window replaces exactly its own rows', async () => {
  const job = await threeDays('exact');
  await lab.run({ ...job, stages: ['restore'] });
  const before = await contentOf(databases.target, 'public.trades');
  await databases.target.query(`UPDATE public.trades SET qty = 99`);
  const { backups } = await lab.catalog(job).list();
  await lab.run({ ...job, stages: ['restore'] }, { backup: backups[1]?.backup ?? null });
  const [counts] = await databases.target.query<{ kept: string; replaced: string }>(
    `SELECT count(*) FILTER (WHERE qty = 99) AS kept, count(*) FILTER (WHERE qty = 1) AS replaced FROM public.trades`,
  );
  expect(counts).toEqual({ kept: '4', replaced: '2' });
  expect(before).toHaveLength(6);
});

it('windows after a full backup are restored on top of it', async () => {
  const name = 'mixed';
  await insert(['2025-12-01 12:00:00+08', 'old']);
  await lab.run(backupJob({ name, tables: ['public.trades'], stages: ['backup'] }), {
    scheduledTime: day(1),
  });
  const windowed = backupJob({ name, tables: [trades], stages: ['backup'] });
  await insert(['2026-01-02 12:00:00+08', 'noon']);
  await lab.run(windowed, { scheduledTime: day(2) });
  const outcomes = await lab.run({ ...windowed, stages: ['restore'] });
  expect(rowsOf(outcomes)).toEqual([1, 1]);
  await expectSame();
});

it.each(['replace', 'append'] as const)(
  'a narrower window, and some partitions only, out of a full backup by %s',
  async (mode) => {
    await insert(
      ['2026-01-01 10:00:00+08', 'a'],
      ['2026-01-01 11:00:00+08', 'b'],
      ['2026-01-02 10:00:00+08', 'c'],
      ['2026-01-03 10:00:00+08', 'd'],
    );
    const narrow: TableSelection['window'] = {
      column: 'ts',
      from: { kind: 'absolute', at: '2026-01-01T11:00:00+08:00' },
      to: { kind: 'absolute', at: '2026-01-03T00:00:00+08:00' },
      timezone: 'Asia/Shanghai',
    };
    const job = backupJob({
      tables: ['public.trades'],
      mode,
      restoreTables: [{ pattern: 'public.trades', window: narrow }],
    });
    await lab.run(job);
    const symbols = async (): Promise<string> =>
      (
        await databases.target.query<{ all: string }>(
          `SELECT string_agg(sym, '' ORDER BY sym) AS all FROM public.trades`,
        )
      )[0]?.all ?? '';
    expect(await symbols()).toBe('bc');
    if (mode === 'append') return;
    await databases.target.query('DELETE FROM public.trades');
    const some = backupJob({
      name: job.name,
      tables: ['public.trades'],
      stages: ['restore'],
      restoreTables: [{ pattern: 'public.trades', chunks: '%\\_2' }],
    });
    await lab.run(some);
    expect(await symbols()).toBe('cd');
    const filtered = backupJob({
      name: job.name,
      tables: ['public.trades'],
      stages: ['restore'],
      restoreTables: [{ pattern: 'public.trades', where: `sym = 'a'` }],
    });
    await lab.run(filtered);
    expect(await symbols()).toBe('acd');
  },
);
