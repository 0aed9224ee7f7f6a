import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { CutBackup, PreparedStage, StageInput } from '../../../definitions/contracts/backup-restore.ts';
import type { ResolvedBackupRestoreJob } from '../../../definitions/contracts/job.ts';
import { SynclineError } from '../../../definitions/errors.ts';
import { noTotals } from '../../../planning/progress.ts';
import {
  type BackupLab,
  backupJob,
  type BackupSketch,
  newKey,
  openBackupLab,
} from '../../support/backup-job.ts';
import { createDatabasePair, type DatabasePair, runningTransactionsEnd } from '../../support/postgres.ts';
import { contentOf } from '../../support/table-content.ts';

/** Chunks read at different instants, under writers, and brought to one: what comes back is what was there at that one. */

let databases: DatabasePair;
let lab: BackupLab;

const tables = `
DROP SCHEMA IF EXISTS moving CASCADE; CREATE SCHEMA moving;
CREATE TABLE moving.account (id int, region text, at timestamptz DEFAULT '2026-01-01', n numeric, note text, PRIMARY KEY (region, id))
  PARTITION BY LIST (region);
CREATE TABLE moving.account_a PARTITION OF moving.account FOR VALUES IN ('a');
CREATE TABLE moving.account_b PARTITION OF moving.account FOR VALUES IN ('b');
CREATE TABLE moving.account_c PARTITION OF moving.account FOR VALUES IN ('c');
INSERT INTO moving.account SELECT i, r, '2026-01-01', i, repeat(md5(i::text), 3) FROM generate_series(1, 900) i, unnest('{a,b,c}'::text[]) r;
CREATE TABLE moving.ledger (k numeric PRIMARY KEY, big text, v int);
ALTER TABLE moving.ledger ALTER big SET STORAGE EXTERNAL;
INSERT INTO moving.ledger SELECT i / 10.0, repeat(md5(i::text), 120), 0 FROM generate_series(1, 300) i;
CREATE TABLE moving.sliced (id bigint PRIMARY KEY, t text);
INSERT INTO moving.sliced SELECT i, repeat(md5(i::text), 6) FROM generate_series(1, 6000) i;
CREATE TABLE moving.full (id int PRIMARY KEY, t text);
ALTER TABLE moving.full REPLICA IDENTITY FULL;
INSERT INTO moving.full SELECT i, 'row ' || i FROM generate_series(1, 50) i;
CREATE TABLE moving.emptied (id int PRIMARY KEY, t text);
INSERT INTO moving.emptied SELECT i, 'row ' || i FROM generate_series(1, 50) i;
CREATE TABLE moving.rewritten (id int PRIMARY KEY, t text);
INSERT INTO moving.rewritten SELECT i, 'row ' || i FROM generate_series(1, 50) i;
ANALYZE`;
const names = ['account', 'ledger', 'sliced', 'full', 'emptied', 'rewritten'].map((name) => `moving.${name}`);
const sliced = { pattern: 'moving.sliced', chunkBytes: 400_000 };

beforeAll(async () => {
  databases = await createDatabasePair();
  lab = await openBackupLab(databases, { key: newKey() });
});
afterAll(async () => {
  await lab.close();
  await databases.drop();
});
beforeEach(async () => {
  await databases.source.query(tables);
  await databases.target.query('DROP SCHEMA IF EXISTS moving CASCADE');
});

function cutJob(sketch: Partial<BackupSketch> = {}): ResolvedBackupRestoreJob {
  const backup = { consistency: 'cut', maxLogBytes: 1e9, ...sketch.backup } as const;
  return backupJob({ tables: [sliced, 'moving.*'], ...sketch, backup });
}

const inputOf = (job: ResolvedBackupRestoreJob): StageInput => {
  const scheduledTime = new Date().toISOString();
  return { job, run: randomUUID(), scheduledTime, backup: null, verified: false };
};

interface Meanwhile {
  /** Before each batch of units. */
  readonly between?: (batch: number) => Promise<unknown>;
  readonly loaded?: () => Promise<unknown>;
  readonly cut?: () => Promise<unknown>;
}

interface MadeBackup {
  readonly input: StageInput;
  readonly prepared: PreparedStage;
  readonly cut: CutBackup;
}

/** As the workflow calls them. */
async function backUp(job: ResolvedBackupRestoreJob, meanwhile: Meanwhile = {}): Promise<MadeBackup> {
  const input = inputOf(job);
  await runningTransactionsEnd(databases.source);
  const over = new AbortController();
  const keeping = lab.act((all) => all.keepLog(input), { signal: over.signal });
  keeping.catch(() => undefined);
  try {
    const prepared = await Promise.race([lab.act((all) => all.prepareBackup(input)), keeping.then(never)]);
    for (const [index, batch] of (await lab.batches(prepared)).entries()) {
      await meanwhile.between?.(index);
      const { failed } = await lab.load(job, { stage: 'backup', prepared, batch });
      if (failed[0] !== undefined) throw new SynclineError(failed[0].code, failed[0].message);
    }
    await meanwhile.loaded?.();
    const { ref } = prepared;
    const cut = await lab.act((all) => all.cutBackup({ ...input, ref, verify: job.run.verify }));
    await meanwhile.cut?.();
    await lab.act((all) => all.finishBackup({ ...input, ref, totals: noTotals }));
    return { input, prepared, cut };
  } finally {
    over.abort();
    await keeping.catch(() => undefined);
    await lab.act((all) => all.dropLog(input));
  }
}

function never(): never {
  throw new Error('The log was not kept.');
}

async function restore(job: ResolvedBackupRestoreJob): Promise<Awaited<ReturnType<BackupLab['stage']>>> {
  return await lab.stage('restore', { ...inputOf(job), backup: null });
}

async function leftOnSource(): Promise<unknown[]> {
  return await databases.source.query(
    `SELECT slot_name AS name FROM pg_replication_slots WHERE database = current_database() UNION ALL SELECT pubname FROM pg_publication`,
  );
}

/** Everything that a row can go through, on every table; different at each step. */
async function write(step: number): Promise<void> {
  const n = String(step);
  await databases.source.query(`
    UPDATE moving.account SET n = n + ${n} WHERE id % 7 = ${n} % 7;
    UPDATE moving.account SET id = id + 10000 * (${n} + 1) WHERE id = 10 + ${n};
    UPDATE moving.account SET region = CASE region WHEN 'a' THEN 'b' WHEN 'b' THEN 'c' ELSE 'a' END, id = -id * 100 - ${n}
      WHERE id BETWEEN 20 + ${n} * 2 AND 21 + ${n} * 2;
    DELETE FROM moving.account WHERE id BETWEEN 100 + ${n} * 3 AND 102 + ${n} * 3;
    INSERT INTO moving.account SELECT 50000 + ${n} * 10 + i, r FROM generate_series(1, 3) i, unnest('{a,b,c}'::text[]) r;
    UPDATE moving.ledger SET v = v + 1 WHERE k < 5;
    UPDATE moving.ledger SET k = (k::text || '0')::numeric WHERE v = ${n} AND k BETWEEN 6 AND 7;
    DELETE FROM moving.ledger WHERE k = 20 + ${n};
    UPDATE moving.sliced SET t = t || '${n}' WHERE id % 997 = ${n};
    UPDATE moving.sliced SET id = 7000 - id + ${n} * 10000 WHERE id = 30 + ${n};
    UPDATE moving.full SET t = t || '${n}' WHERE id < 4; DELETE FROM moving.full WHERE id = 10 + ${n}`);
  await databases.source.query(`BEGIN; INSERT INTO moving.full VALUES (1000 + ${n}, 'gone'); ROLLBACK`);
  await databases.source.query(
    `BEGIN; SAVEPOINT s; INSERT INTO moving.full VALUES (2000 + ${n}, 'gone'); ROLLBACK TO s;
       INSERT INTO moving.full VALUES (3000 + ${n}, 'kept'); COMMIT`,
  );
}

async function expectAs(content: ReadonlyMap<string, string[]>): Promise<void> {
  for (const [table, rows] of content) expect(await contentOf(databases.target, table), table).toEqual(rows);
}

async function contents(): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  for (const name of names) found.set(name, await contentOf(databases.source, name));
  return found;
}

describe.each([
  { encrypt: false, compression: 'none', verify: 'count' },
  { encrypt: true, compression: 'zstd', verify: 'digest' },
] as const)('a backup at a cut, encrypted: $encrypt, verified by $verify', ({ verify, ...backup }) => {
  it('holds one instant of tables that change while it is made, and nothing after it', async () => {
    const job = cutJob({ backup, verify });
    let instant = new Map<string, string[]>();
    const { cut } = await backUp(job, {
      between: write,
      loaded: async () => {
        await write(90);
        await databases.source.query(
          `TRUNCATE moving.emptied; INSERT INTO moving.emptied VALUES (7, 'anew')`,
        );
        await databases.source.query('VACUUM FULL moving.rewritten');
        await databases.source.query(`UPDATE moving.rewritten SET t = 'other' WHERE id = 1`);
        instant = await contents();
      },
      cut: () => write(91),
    });
    expect(cut.changed).toBeGreaterThan(5);
    expect(cut.again).toBe(2);
    expect(await leftOnSource()).toEqual([]);
    const restored = await restore(job);
    await expectAs(instant);
    const [summary] = (await lab.catalog(job).list()).backups;
    expect(summary).toMatchObject({ consistency: 'cut', rows: restored.totals.rowsRead });
    expect(restored.totals.rowsRead).toBe([...instant.values()].reduce((sum, rows) => sum + rows.length, 0));
  });
});

it('a restore of it that is done again changes nothing, and one of a part brings that part', async () => {
  const job = cutJob();
  await backUp(job, { loaded: () => write(1) });
  const instant = await contents();
  await restore(job);
  const again = await restore(job);
  expect(again.moved).toBe(0);
  await expectAs(instant);
  await databases.target.query('TRUNCATE moving.account, moving.ledger');
  await restore(cutJob({ ...job, path: job.backup.path, restore: { tables: part }, tables: ['moving.*'] }));
  expect(await contentOf(databases.target, 'moving.account_b')).toEqual(
    await contentOf(databases.source, 'moving.account_b'),
  );
  expect(await contentOf(databases.target, 'moving.account_a')).toEqual([]);
});

const part = [{ pattern: 'moving.account', chunks: '%_b', chunkBytes: 1e9 }];

it('the next backup refers to what nothing happened to, and takes anew what has changes beside it', async () => {
  const job = cutJob();
  await backUp(job, {
    loaded: () => databases.source.query(`UPDATE moving.account SET n = -1 WHERE region = 'b'`),
  });
  const { prepared } = await backUp(job, {
    loaded: () => databases.source.query(`UPDATE moving.account SET n = -2 WHERE region = 'c' AND id < 5`),
  });
  const instant = await contents();
  const [latest, first] = (await lab.catalog(job).list()).backups;
  expect(latest).toMatchObject({ basedOn: first?.backup, backup: prepared.backup });
  expect(latest?.referredBytes).toBeGreaterThan(0);
  await restore(job);
  await expectAs(instant);
});

it('travels to another vault with what changed, and comes back from there; pruned, nothing of it is left', async () => {
  const job = cutJob({ stages: ['backup', 'transfer', 'restore'], backup: { encrypt: true } });
  const { input, prepared } = await backUp(job, { loaded: () => write(2) });
  const instant = await contents();
  await lab.stage('transfer', { ...input, backup: prepared.backup });
  await lab.stage('restore', { ...input, run: 'r2', backup: prepared.backup });
  await expectAs(instant);
  const objects = await lab.catalog(job, 'far').objects(prepared.backup, 0, 1_000);
  const paged = [];
  for (let after = 0; after < objects.length; after += 3)
    paged.push(...(await lab.catalog(job, 'far').objects(prepared.backup, after, 3)));
  expect(paged).toEqual(objects);
  expect(new Set(objects.map(({ key }) => key)).size).toBe(objects.length);
  await backUp(job);
  const now = new Date().toISOString();
  const gone = await lab.catalog(job).prune({ last: 1, days: null, now });
  expect(gone.backups).toEqual([prepared.backup]);
  await databases.target.query('DROP SCHEMA moving CASCADE');
  await lab.stage('restore', { ...input, run: 'r3', backup: null });
  await expectAs(instant);
});

it('is cut again by an attempt after one that died, at a later instant', async () => {
  const job = cutJob();
  let fail = true;
  const other = await openBackupLab(databases, {
    over: lab,
    fault: (point) =>
      point === 'cut.beforeNote' && fail
        ? Promise.reject(new SynclineError('fault.injected', 'killed'))
        : Promise.resolve(),
  });
  const input = inputOf(job);
  await runningTransactionsEnd(databases.source);
  const over = new AbortController();
  const keeping = other.act((all) => all.keepLog(input), { signal: over.signal });
  keeping.catch(() => undefined);
  const prepared = await other.act((all) => all.prepareBackup(input));
  for (const batch of await other.batches(prepared))
    await other.load(job, { stage: 'backup', prepared, batch });
  await write(3);
  const { ref } = prepared;
  const cut = { ...input, ref, verify: job.run.verify };
  await expect(other.act((all) => all.cutBackup(cut))).rejects.toThrow('killed');
  fail = false;
  await write(4);
  const instant = await contents();
  await other.act((all) => all.cutBackup(cut));
  await write(5);
  // A late attempt finds that it is done.
  expect(await other.act((all) => all.cutBackup(cut))).toEqual({ changed: 0, again: 0 });
  await other.act((all) => all.finishBackup({ ...input, ref, totals: noTotals }));
  over.abort();
  await keeping.catch(() => undefined);
  await other.act((all) => all.removeStage({ ...input, stage: 'backup' }));
  expect(await leftOnSource()).toEqual([]);
  await restore(job);
  await expectAs(instant);
  await other.close();
});

describe('refuses before anything is done', () => {
  it('a table without a key, and one whose key is not backed up', async () => {
    await databases.source.query('CREATE TABLE moving.keyless (a int)');
    const job = cutJob({ tables: ['moving.keyless', { pattern: 'moving.ledger', columns: ['big'] }] });
    const report = await lab.act((all) => all.planBackupRestore(inputOf(job)));
    const refused = report.findings.filter(({ severity }) => severity === 'error').map(({ code }) => code);
    expect(refused).toContain('source.noKey');
    expect(refused).toContain('log.notReady');
    await expect(backUp(job)).rejects.toThrow(/key/);
    expect(await leftOnSource()).toEqual([]);
  });
});

describe('fails', () => {
  it('when the source keeps more log than it may', async () => {
    const job = cutJob({ backup: { maxLogBytes: 1_000_000 } });
    const fill = (): Promise<unknown> =>
      databases.source.query(
        `INSERT INTO moving.sliced SELECT i, repeat(md5(i::text), 40) FROM generate_series(10000, 13000) i`,
      );
    const input = inputOf(job);
    const keeping = lab.act((all) => all.keepLog(input));
    keeping.catch(() => undefined);
    await lab.act((all) => all.prepareBackup(input));
    await fill();
    await expect(keeping).rejects.toMatchObject({ code: 'log.retentionExceeded' });
    await lab.act((all) => all.removeStage({ ...input, stage: 'backup' }));
    expect(await leftOnSource()).toEqual([]);
  });

  it('when its slot is dropped, a table changes its columns, or a partition goes', async () => {
    const { source } = databases;
    const drop = `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()`;
    await expect(backUp(cutJob(), { loaded: () => source.query(drop) })).rejects.toMatchObject({
      code: 'log.slotLost',
    });
    const alter = 'ALTER TABLE moving.full ADD COLUMN more int';
    await expect(backUp(cutJob(), { loaded: () => source.query(alter) })).rejects.toMatchObject({
      code: 'log.schemaChanged',
    });
    const detach = 'ALTER TABLE moving.account DETACH PARTITION moving.account_c';
    await expect(backUp(cutJob(), { loaded: () => source.query(detach) })).rejects.toMatchObject({
      code: 'source.chunkChanged',
    });
    const attach = `CREATE TABLE moving.account_d PARTITION OF moving.account FOR VALUES IN ('d'); INSERT INTO moving.account VALUES (1, 'd')`;
    await expect(backUp(cutJob(), { loaded: () => source.query(attach) })).rejects.toMatchObject({
      code: 'source.chunkChanged',
    });
    expect(await leftOnSource()).toEqual([]);
  });
});
