import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { JobStatus } from '../../definitions/contracts/status.ts';
import { loadConfig } from '../../worker/config.ts';
import { connectClient } from '../../worker/connection.ts';
import type { Asking } from '../../worker/jobs/asking.ts';
import { addressOf } from '../../worker/jobs/job-address.ts';
import { readStatus } from '../../worker/jobs/job-status.ts';
import { ledgerOf } from '../../worker/jobs/ledger.ts';
import type { JobTable } from '../../worker/jobs/job-tables.ts';
import type { LinkMetrics } from '../../worker/jobs/link-metrics.ts';
import type { LinkTask } from '../../worker/jobs/link-tasks.ts';
import { Redaction } from '../../worker/redaction.ts';
import { createStoreProvider } from '../../worker/stores.ts';
import { eventually } from '../support/eventually.ts';
import {
  createDatabase,
  createDatabasePair,
  type DatabasePair,
  type TestDatabase,
} from '../support/postgres.ts';
import { temporalAddress, uniqueJobName, uniqueTaskQueue } from '../support/temporal.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.ts';
import { runCli, type CliRun } from './run-cli.ts';

// Each command is a process of its own, and takes seconds where many tests run at a time.
vi.setConfig({ testTimeout: 180_000 });

// One duplication from the first command to the last, with two targets, as an operator has it.

let databases: DatabasePair;
let reporting: TestDatabase;
let worker: WorkerProcess;
let folder: string;
let config: string;
const taskQueue = uniqueTaskQueue();
const name = uniqueJobName('live');
const address = addressOf('duplication', name);
let asking: Asking;

beforeAll(async () => {
  databases = await createDatabasePair();
  reporting = await createDatabase();
  await databases.source.query(`
    CREATE TABLE public.t (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
    CREATE TABLE public.t_1 PARTITION OF public.t FOR VALUES FROM (0) TO (100);
    CREATE TABLE public.t_2 PARTITION OF public.t FOR VALUES FROM (100) TO (200);
    CREATE TABLE public.u (id int PRIMARY KEY);
    INSERT INTO public.t SELECT n, 'old' FROM generate_series(0, 199) n;
    INSERT INTO public.u SELECT n FROM generate_series(1, 10) n`);
  folder = await mkdtemp(join(tmpdir(), 'syncline-live-'));
  const stores = { prod: databases.source.url, dr: databases.target.url, reporting: reporting.url };
  config = join(folder, 'stores.yaml');
  const lines = Object.entries(stores).map(([store, url]) => `  ${store}: { kind: postgres, url: '${url}' }`);
  await writeFile(config, ['stores:', ...lines, `temporal: { taskQueue: ${taskQueue} }`, ''].join('\n'));
  await writeFile(
    join(folder, 'live.yaml'),
    `kind: duplication
name: ${name}
source: { store: prod, tables: [public.t, public.u] }
targets: [dr, { store: reporting, schema: mirror }]
log: { batch: { every: 50ms } }
`,
  );
  const provider = await createStoreProvider(loadConfig({ file: config }), { redaction: new Redaction() });
  const target = { connectionOptions: { address: temporalAddress() }, address: temporalAddress() };
  asking = {
    access: await connectClient({ ...target, namespace: 'default', taskQueue }),
    stores: () => Promise.resolve(provider),
    note: () => undefined,
  };
  const settings = ['http: { address: 127.0.0.1:0 }', 'log: { level: info }'];
  worker = await startWorkerProcess({ stores, temporalAddress: temporalAddress(), taskQueue, settings });
});

afterAll(async () => {
  await worker.terminate();
  await asking.access.connection.close();
  await (await asking.stores()).closeAll();
  await databases.drop();
  await reporting.drop();
  await rm(folder, { recursive: true, force: true });
});

async function cli(...args: readonly string[]): Promise<CliRun> {
  return await runCli([...args, '--config', config], { env: { TEMPORAL_ADDRESS: temporalAddress() } });
}

async function json(...args: readonly string[]): Promise<unknown> {
  const run = await cli(...args, '-o', 'json');
  expect(run).toMatchObject({ code: 0 });
  return JSON.parse(run.stdout);
}

/** As the command `status`, without a process for each look. */
async function status(): Promise<JobStatus> {
  return await readStatus(asking.access, address, () => ledgerOf(asking, address));
}

function linkOf({ links = [] }: JobStatus, target: string) {
  const link = links.find((one) => one.target === target);
  if (link === undefined) throw new Error(`There is no link to ${target}.`);
  return link;
}

async function onTarget(sql: string): Promise<unknown> {
  return await databases.target.query(sql);
}

/** Where the worker serves jobs, as its log says. */
function httpAddress(): string {
  const line = worker
    .output()
    .split('\n')
    .find((text) => text.includes('jobs are served over HTTP'));
  return `http://${(JSON.parse(line ?? '{}') as { address: string }).address}`;
}

test('it is planned, and waited for until it is consistent', async () => {
  const plan = await cli('plan', join(folder, 'live.yaml'));
  expect(plan).toMatchObject({ code: 0 });
  expect(plan.stdout).toContain(`duplication/${name}: prod to dr, reporting`);
  const run = await cli('run', join(folder, 'live.yaml'), '--wait', '-o', 'json');
  expect(run, run.stderr).toMatchObject({ code: 0 });
  expect(JSON.parse(run.stdout)).toMatchObject({
    ...{ name, kind: 'duplication', state: 'running', rows: 210 },
    consistentAt: expect.stringMatching(/^[0-9a-f]{16}$/) as string,
    links: [{ target: 'dr' }, { target: 'reporting' }],
  });
  expect(await onTarget('SELECT count(*)::int AS count FROM public.t')).toEqual([{ count: 200 }]);
});

test('its status shows every link in both words, and what was written is there a moment later', async () => {
  await databases.source.query(`UPDATE public.t SET v = 'new' WHERE id < 10`);
  await eventually(async () => {
    const [row] = await reporting.query<{ count: number }>(
      `SELECT count(*)::int AS count FROM mirror.t WHERE v = 'new'`,
    );
    return row?.count === 10;
  });
  const now = (await json('status', name)) as JobStatus;
  expect(now).toMatchObject({ phase: 'log', state: 'running', lagMs: expect.any(Number) as number });
  for (const target of ['dr', 'reporting']) {
    expect(linkOf(now, target)).toMatchObject({
      ...{ phase: 'log', pegasusPhase: 'DS_LOG', state: 'running' },
      progress: { way: expect.stringMatching(/pull|stream/) as string, deadTransactions: 0, tables: [] },
    });
  }
  expect((await cli('status', name)).stdout).toMatch(/^ {2}dr +log \(DS_LOG\) +running/m);
  expect(await json('list')).toContainEqual(
    expect.objectContaining({ name, kind: 'duplication', phase: 'log' }) as object,
  );
});

test('its batches and its figures are read from the ledgers of its targets', async () => {
  const tasks = (await json('tasks', name, '--target', 'dr', '--limit', '5')) as LinkTask[];
  expect(tasks.length).toBeGreaterThan(0);
  expect(tasks[0]).toMatchObject({ target: 'dr', what: 'batch', state: 'finished', code: null });
  const { links } = (await json('metrics', name, '--since', '1h')) as { links: LinkMetrics[] };
  expect(links.map(({ target }) => target)).toEqual(['dr', 'reporting']);
  expect(links[0]).toMatchObject({
    windowMs: 3_600_000,
    failedAttempts: 0,
    totals: { deadTransactions: 0 },
  });
  expect(links[0]?.finishedTasks).toBeGreaterThan(0);
  expect((await cli('metrics', name, '--since', 'start')).stdout).toMatch(/^dr \(as far back/);
  expect(await cli('metrics', name, '--since', 'often')).toMatchObject({ code: 2 });
  expect(await cli('tasks', name, '--target', 'nowhere')).toMatchObject({ code: 2 });
});

test('over HTTP the worker says the same, and takes no orders', async () => {
  const base = httpAddress();
  const get = async (path: string) => {
    const response = await fetch(`${base}${path}`);
    return { status: response.status, body: await response.json() };
  };
  expect((await get('/jobs')).body).toContainEqual(expect.objectContaining({ name }) as object);
  expect(await get(`/jobs/${name}`)).toMatchObject({ status: 200, body: { name, phase: 'log' } });
  expect(await get(`/jobs/duplication%2F${name}`)).toMatchObject({ status: 200, body: { name } });
  const { body } = await get(`/jobs/${name}/tables`);
  expect(
    (body as JobTable[]).map(({ target, table, targetTable, chunks, state }) => [
      target,
      table,
      targetTable,
      chunks,
      state,
    ]),
  ).toEqual([
    ['dr', 'public.t', 'public.t', 2, 'live'],
    ['dr', 'public.u', 'public.u', 1, 'live'],
    ['reporting', 'public.t', 'mirror.t', 2, 'live'],
    ['reporting', 'public.u', 'mirror.u', 1, 'live'],
  ]);
  expect(await get('/jobs/nothing-like-it')).toMatchObject({
    status: 404,
    body: { error: { code: 'job.notFound' } },
  });
  expect((await get('/elsewhere')).status).toBe(404);
  expect((await get('/jobs/%E0%A4%A')).status).toBe(404);
  expect((await fetch(`${base}/jobs/${name}`, { method: 'POST' })).status).toBe(405);
});

test('a table of one target is paused and goes on, and nothing of it is missing', async () => {
  expect(await cli('table', name, 'public.u', 'pause', '--target', 'dr')).toMatchObject({ code: 0 });
  await databases.source.query('INSERT INTO public.u VALUES (11)');
  await eventually(async () => linkOf(await status(), 'dr').progress?.tables[0]?.state === 'paused');
  await eventually(async () => (linkOf(await status(), 'dr').progress?.spooledChanges ?? 0) > 0);
  expect(linkOf(await status(), 'reporting').progress?.tables).toEqual([]);
  expect(await cli('table', name, 'public.u', 'resume', '--target', 'dr')).toMatchObject({ code: 0 });
  await eventually(
    async () => JSON.stringify(await onTarget('SELECT 1 FROM public.u WHERE id = 11')) !== '[]',
  );
  expect(await cli('table', name, 'public.u', 'stop')).toMatchObject({ code: 2 });
});

test('a comparison finds what somebody else has changed, and repairs it', async () => {
  expect(await cli('verify', name)).toMatchObject({ code: 0 });
  await databases.target.query('DELETE FROM public.t WHERE id = 150');
  const found = await cli('verify', name, 'public.t', '--target', 'dr', '-o', 'json');
  expect(found).toMatchObject({ code: 1 });
  expect(JSON.parse(found.stdout)).toMatchObject({
    links: [
      { target: 'dr', verified: { different: [{ chunk: 'public.t_2', sourceRows: 100, targetRows: 99 }] } },
    ],
  });
  expect(await cli('verify', name, '--repair', '--target', 'dr')).toMatchObject({ code: 0 });
  await eventually(
    async () => JSON.stringify(await onTarget('SELECT 1 FROM public.t WHERE id = 150')) !== '[]',
  );
});

test('it is paused, resumed and loaded again by name, each link for itself', async () => {
  expect(await cli('pause', name, '--target', 'reporting', '--reason', 'works on the network')).toMatchObject(
    { code: 0 },
  );
  await eventually(async () => linkOf(await status(), 'reporting').phase === 'paused');
  const paused = await status();
  expect(linkOf(paused, 'reporting')).toMatchObject({
    pegasusPhase: 'DS_PAUSE',
    reason: 'works on the network',
  });
  expect(linkOf(paused, 'dr').phase).toBe('log');
  expect(await cli('resume', name, '--target', 'reporting')).toMatchObject({ code: 0 });
  expect(await cli('resync', name, 'public.u', '--target', 'reporting')).toMatchObject({ code: 0 });
  await eventually(async () => linkOf(await status(), 'reporting').phase === 'log');
  expect(await cli('policy', name, '--mode', 'skip', '--target', 'dr')).toMatchObject({ code: 0 });
});

test('without a worker the ledgers answer, and no order is taken', async () => {
  await worker.terminate();
  const alone = await eventually(async () => {
    const answer = await status();
    return answer.reasonCode === 'job.noWorker' ? answer : null;
  });
  expect(linkOf(alone, 'dr')).toMatchObject({
    phase: 'log',
    progress: { consistentAt: expect.any(String) as string },
  });
  expect(alone.chunks).toMatchObject({ total: expect.any(Number) as number, skipped: 0 });
  expect(await cli('policy', name, '--attempts', '5')).toMatchObject({ code: 3 });
  const stores = { prod: databases.source.url, dr: databases.target.url, reporting: reporting.url };
  worker = await startWorkerProcess({ stores, temporalAddress: temporalAddress(), taskQueue });
});

test('one target is promoted and keeps what it has, the other is removed, and nothing stays on the source', async () => {
  const promoted = await cli('promote', name, '--target', 'dr');
  expect(promoted, promoted.stderr).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('promoted: dr') as string,
  });
  expect(await onTarget('SELECT count(*)::int AS count FROM public.t')).toEqual([{ count: 200 }]);
  expect(await cli('remove', name)).toMatchObject({ code: 0 });
  const left = await databases.source.query(
    `SELECT slot_name AS name FROM pg_replication_slots WHERE database = current_database()
     UNION ALL SELECT pubname FROM pg_publication`,
  );
  expect(left).toEqual([]);
  expect((await status()).state).toBe('done');
});

test('orders for links are refused to a job that has none', async () => {
  const copy = uniqueJobName('copy');
  await writeFile(
    join(folder, 'copy.yaml'),
    `kind: copy\nname: ${copy}\nsource: { store: prod, tables: [public.u] }\ntarget: { store: dr }\n`,
  );
  await cli('run', join(folder, 'copy.yaml'), '--wait');
  for (const order of [
    ['promote', copy],
    ['tasks', copy],
    ['resync', copy],
    ['pause', copy, '--target', 'dr'],
  ]) {
    const refused = await cli(...order);
    expect(refused).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('is no duplication') as string,
    });
  }
});
