import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { digestOf } from '../../scripts/quickstart/table-digest.ts';
import { eventually } from '../support/eventually.ts';
import { uniqueJobName } from '../support/temporal.ts';
import { openSessions, stagingTables } from './lab/checks.ts';
import { type Desk, openDesk } from './lab/desk.ts';

// One worker for all; every test has a job and tables of its own.
let desk: Desk;

beforeAll(async () => {
  desk = await openDesk();
  await desk.startWorker();
});

afterAll(() => desk.end());

interface Job {
  readonly name: string;
  readonly table: string;
  readonly file: string;
}

async function job(more: string): Promise<Job> {
  const name = uniqueJobName('operate');
  const table = `public.${name.replaceAll('-', '_')}`;
  const file = await desk.write(
    `${name}.yaml`,
    `kind: copy\nname: ${name}\nsource: { store: source, tables: [${table}] }\ntarget: { store: target, createTables: true }\n${more}`,
  );
  return { name, table, file };
}

/** One chunk of 13 MB, more than is read ahead, that takes about thirteen seconds. */
async function slowJob(): Promise<Job> {
  const made = await job('run: { throttle: 1MB/s, verify: digest }\n');
  await desk.source.query(
    `CREATE TABLE ${made.table} (id int PRIMARY KEY, filler text);
     INSERT INTO ${made.table} SELECT n, repeat(md5(n::text), 6) FROM generate_series(1, 60000) n;
     ANALYZE ${made.table}`,
  );
  return made;
}

/** Three partitions, of which the second holds a row that the target refuses. */
async function refusedJob(more: string): Promise<Job> {
  const made = await job(more);
  for (const [database, check] of [
    [desk.source, ''],
    [desk.target, ', CONSTRAINT not_negative CHECK (qty >= 0)'],
  ] as const) {
    await database.query(
      `CREATE TABLE ${made.table} (id int, part int, qty int${check}, PRIMARY KEY (id, part)) PARTITION BY LIST (part)`,
    );
    for (const part of [0, 1, 2]) {
      await database.query(
        `CREATE TABLE ${made.table}_${part} PARTITION OF ${made.table} FOR VALUES IN (${part})`,
      );
    }
  }
  await desk.source.query(
    `INSERT INTO ${made.table} SELECT n, n % 3, n FROM generate_series(1, 300) n;
     UPDATE ${made.table} SET qty = -1 WHERE id = 100`,
  );
  return made;
}

async function cure({ table }: Job): Promise<void> {
  await desk.source.query(`UPDATE ${table} SET qty = 100 WHERE id = 100`);
}

async function status({ name }: Job) {
  const { code, values } = await desk.json('status', name);
  expect(code).toBe(0);
  return values[0] as Record<'state' | 'phase' | 'reason' | 'reasonCode', string | null>;
}

async function expectEqual({ table }: Job): Promise<void> {
  expect(await digestOf(desk.target.url, table)).toEqual(await digestOf(desk.source.url, table));
}

async function working(): Promise<unknown[]> {
  const sql = `SELECT state FROM pg_stat_activity WHERE starts_with(application_name, 'syncline')
                  AND datname = current_database() AND state <> 'idle'`;
  return [...(await desk.source.query(sql)), ...(await desk.target.query(sql))];
}

async function copying({ name }: Job): Promise<void> {
  await eventually(async () => {
    const sql = `SELECT FROM pg_stat_activity WHERE application_name LIKE 'syncline/${name}/%'
                    AND query LIKE '%COPY %' AND state = 'active'`;
    return [...(await desk.source.query(sql)), ...(await desk.target.query(sql))].length > 0;
  });
}

/** `remove` leaves nothing of a job on either side. */
async function expectNothingLeft({ name }: Job): Promise<void> {
  expect(await stagingTables(desk.target)).toEqual([]);
  const [schema] = await desk.target.query(`SELECT FROM pg_namespace WHERE nspname = 'syncline'`);
  for (const table of schema === undefined ? [] : ['ledger', 'load', 'unit', 'dead_letter', 'watermark']) {
    expect(await desk.target.query(`SELECT job FROM syncline.${table} WHERE job = '${name}'`)).toEqual([]);
  }
  await eventually(async () => {
    const open = [...(await openSessions(desk.source)), ...(await openSessions(desk.target))];
    return open.every((session) => !session.includes(name));
  });
}

describe('a chunk in the middle of its copy', () => {
  test('is given back by pause and copied after resume', async () => {
    const slow = await slowJob();
    expect((await desk.syncline(['run', slow.file])).code).toBe(0);
    await copying(slow);
    const paused = await desk.json('pause', slow.name, '--reason', 'window closed');
    expect(paused).toMatchObject({ code: 0, values: [{ name: slow.name, kind: 'copy' }] });
    expect(await working()).toEqual([]);
    expect(await status(slow)).toMatchObject({ state: 'paused', phase: 'paused', reason: 'window closed' });
    expect(await desk.syncline(['skip', slow.name])).toMatchObject({ code: 1 });
    expect(await desk.syncline(['resume', slow.name])).toMatchObject({ code: 0 });
    expect(await desk.syncline(['resume', slow.name])).toMatchObject({ code: 1 });
    await eventually(async () =>
      expect(await status(slow)).toMatchObject({ state: 'done', chunks: { done: 1 } }),
    );
    await expectEqual(slow);
  });

  test('is taken back by remove, and nothing is left on either server', async () => {
    const slow = await slowJob();
    const waiting = desk.json('run', slow.file, '--wait');
    await copying(slow);
    expect(await desk.syncline(['remove', slow.name])).toMatchObject({ code: 0 });
    expect(await waiting).toMatchObject({ code: 1, values: [{ name: slow.name, state: 'removed' }] });
    await expectNothingLeft(slow);
    expect(await status(slow)).toMatchObject({ state: 'removed', phase: 'removed' });
  });

  test('goes on when the one who waits presses Ctrl-C, without a colour or a moving line in a pipe', async () => {
    const slow = await slowJob();
    const run = await desk.syncline(['run', slow.file, '--wait'], {
      onStart: (child) => {
        void copying(slow).then(() => child.kill('SIGINT'));
      },
    });
    expect(run.code).toBe(5);
    expect(run.stdout).toBe('');
    expect(run.stderr).toContain(`syncline status ${slow.name}`);
    expect(run.stderr).not.toContain('\u001b');
    expect(await status(slow)).toMatchObject({ state: 'running' });
    const watched = await desk.syncline(['status', slow.name, '--watch']);
    expect(watched).toMatchObject({ code: 0, stderr: '' });
    expect(watched.stdout).not.toContain('\u001b');
    expect(watched.stdout).toMatch(/: done\n/);
    await expectEqual(slow);
    expect(await desk.syncline(['remove', slow.name])).toMatchObject({ code: 0 });
    await expectNothingLeft(slow);
  });

  test('is left by a run that somebody terminates in the UI, which ends the wait with 5', async () => {
    const slow = await slowJob();
    const waiting = desk.json('run', slow.file, '--wait');
    await copying(slow);
    await desk.client.workflow.getHandle(`copy/${slow.name}`).terminate('by hand');
    expect(await waiting).toMatchObject({ code: 5, values: [{ name: slow.name, state: 'ended' }] });
    expect(await desk.syncline(['remove', slow.name])).toMatchObject({ code: 0 });
    await expectNothingLeft(slow);
  });
});

describe('a chunk that keeps failing', () => {
  const onFailure = (mode: string): string =>
    `onFailure: { mode: ${mode}, attempts: 2, backoff: { initial: 100ms, max: 100ms } }\n`;

  test('under stop ends the wait with 1 and the cure, and holds the job until it is resumed', async () => {
    const refused = await refusedJob(onFailure('stop'));
    expect(await desk.json('run', refused.file, '--wait')).toMatchObject({
      code: 1,
      values: [{ name: refused.name, state: 'stopped', error: { code: 'target.constraint' } }],
    });
    expect(await status(refused)).toMatchObject({
      ...{ state: 'stopped', phase: 'stopped', needsAttention: true, reasonCode: 'target.constraint' },
      chunks: { total: 3, done: 2, skipped: 0 },
    });
    await cure(refused);
    expect(await desk.syncline(['resume', refused.name])).toMatchObject({ code: 0 });
    await eventually(async () =>
      expect(await status(refused)).toMatchObject({ state: 'done', chunks: { done: 3, skipped: 0 } }),
    );
    await expectEqual(refused);
  });

  test('under stop is set aside by skip, and then loaded by retry once it is cured', async () => {
    const refused = await refusedJob(onFailure('stop'));
    // Whoever waits for it may be told of the stop before the order comes, so nobody does.
    expect((await desk.syncline(['run', refused.file])).code).toBe(0);
    await eventually(async () => expect(await status(refused)).toMatchObject({ state: 'stopped' }));
    const failing = await desk.json('chunks', refused.name, '--failing');
    expect(failing.code).toBe(0);
    expect(await desk.syncline(['skip', refused.name])).toMatchObject({ code: 0 });
    await eventually(async () =>
      expect(await status(refused)).toMatchObject({
        ...{ state: 'done', chunks: { total: 3, done: 2, skipped: 1 }, rows: { written: 200 } },
      }),
    );
    expect((await desk.json('chunks', refused.name, '--skipped')).values).toMatchObject([
      [{ chunk: `${refused.table}_1`, code: 'target.constraint' }],
    ]);
    await cure(refused);
    const retried = await desk.json('retry', refused.name, '--wait');
    expect(retried).toMatchObject({
      code: 0,
      values: [{ state: 'done', chunks: { total: 3, done: 3, skipped: 0 } }],
    });
    await expectEqual(refused);
  });

  test('under skip is reported, stays set aside when retried in vain, and is cleaned up by remove', async () => {
    const refused = await refusedJob(onFailure('skip'));
    const run = await desk.syncline(['run', refused.file, '--wait']);
    expect(run.code).toBe(1);
    expect(run.stdout).toContain(`skipped ${refused.table}_1: `);
    // The value that was refused; the job's own name may hold the same characters within a word.
    expect(run.stdout + run.stderr).not.toMatch(/(?<![\w-])-1\b/);
    expect(await status(refused)).toMatchObject({
      ...{ state: 'done', needsAttention: true, chunks: { total: 3, done: 2, skipped: 1 } },
      reason: `1 skipped; \`syncline retry ${refused.name}\` tries them again.`,
    });
    const again = await desk.json('retry', refused.name, '--wait');
    expect(again).toMatchObject({ code: 1, values: [{ chunks: { total: 3, done: 2, skipped: 1 } }] });
    const listed = await desk.json('chunks', refused.name, '--skipped');
    expect(listed.values).toMatchObject([
      [{ chunk: `${refused.table}_1`, state: 'skipped', code: 'target.constraint' }],
    ]);
    expect(await desk.syncline(['remove', refused.name])).toMatchObject({ code: 0 });
    await expectNothingLeft(refused);
  });
});
