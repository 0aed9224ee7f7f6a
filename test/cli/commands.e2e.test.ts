import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDatabasePair, type DatabasePair } from '../support/postgres.ts';
import { temporalAddress, uniqueJobName, uniqueTaskQueue } from '../support/temporal.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.ts';
import { runCli, type CliRun } from './run-cli.ts';

// One worker and one table for all; every test has a job, and so a workflow, of its own.
let databases: DatabasePair;
let worker: WorkerProcess;
let folder: string;
const taskQueue = uniqueTaskQueue();

beforeAll(async () => {
  databases = await createDatabasePair();
  await databases.source.query(
    `CREATE TABLE public.cli_rows (id int PRIMARY KEY, note text);
     INSERT INTO public.cli_rows SELECT n, 'note ' || n FROM generate_series(1, 1000) n`,
  );
  folder = await mkdtemp(join(tmpdir(), 'syncline-cli-e2e-'));
  const stores = { prod: databases.source.url, dr: databases.target.url };
  worker = await startWorkerProcess({ stores, temporalAddress: temporalAddress(), taskQueue });
});

afterAll(async () => {
  await worker.terminate();
  await databases.drop();
  await rm(folder, { recursive: true, force: true });
});

interface Job {
  readonly name: string;
  readonly file: string;
  readonly cli: (...args: string[]) => Promise<CliRun>;
}

async function job(more = '', queue = taskQueue): Promise<Job> {
  const name = uniqueJobName('cli');
  const file = join(folder, `${name}.yaml`);
  const config = join(folder, `${name}-stores.yaml`);
  const source = '{ store: prod, tables: [public.cli_rows] }';
  const header = `kind: copy\nname: ${name}\nsource: ${source}\n`;
  await writeFile(file, `${header}target: { store: dr, createTables: true }\n${more}`);
  await writeFile(
    config,
    `stores:\n  prod: { kind: postgres, url: '\${PROD_URL}' }\n  dr: { kind: postgres, url: '\${DR_URL}' }\n` +
      `temporal: { taskQueue: ${queue} }\n`,
  );
  const env = {
    TEMPORAL_ADDRESS: temporalAddress(),
    PROD_URL: databases.source.url,
    DR_URL: databases.target.url,
  };
  return { name, file, cli: (...args) => runCli([...args, '--config', config], { env }) };
}

test('run --wait prints one object, and status, chunks and history agree with it', async () => {
  const { name, file, cli } = await job();
  const run = await cli('run', file, '--wait', '-o', 'json');
  expect(run.stdout.trim().split('\n')).toHaveLength(1);
  expect(JSON.parse(run.stdout)).toMatchObject({
    name,
    kind: 'copy',
    state: 'done',
    chunks: { total: 1, done: 1, skipped: 0 },
    rows: 1000,
  });
  expect(run.code).toBe(0);
  const status = JSON.parse((await cli('status', name, '-o', 'json')).stdout) as unknown;
  expect(status).toMatchObject({
    state: 'done',
    rows: { read: 1000, written: 1000, skipped: 0 },
    position: null,
  });
  const chunks = JSON.parse((await cli('chunks', name, '-o', 'json')).stdout) as unknown;
  expect(chunks).toMatchObject([{ chunk: 'public.cli_rows', state: 'done', rows: 1000 }]);
  expect((await cli('history', name)).stdout).toContain(`/workflows/copy%2F${name}/`);
});

test('a control command of a job that has ended is refused, of none is not found', async () => {
  const { name, file, cli } = await job();
  await cli('run', file, '--wait');
  expect(await cli('pause', name)).toMatchObject({ code: 1 });
  expect(await cli('pause', `${name}-other`)).toMatchObject({ code: 2 });
});

test('without a worker, control fails and names the task queue, while status answers', async () => {
  const queue = uniqueTaskQueue();
  const { name, file, cli } = await job('', queue);
  expect((await cli('run', file)).code).toBe(0);
  const refused = await cli('pause', name);
  expect(refused.code).toBe(3);
  expect(refused.stderr).toContain(queue);
  const status = await cli('status', name, '-o', 'json');
  expect(JSON.parse(status.stdout)).toMatchObject({ name, needsAttention: true, reasonCode: 'job.noWorker' });
  const again = await cli('run', file);
  expect(again.code).toBe(1);
  expect(again.stderr).toContain('is running');
});

test('Ctrl-C while waiting leaves the job running and ends with 5', async () => {
  const { name, file } = await job('', uniqueTaskQueue());
  const config = join(folder, `${name}-stores.yaml`);
  const run = await runCli(['run', file, '--wait', '--config', config], {
    env: {
      TEMPORAL_ADDRESS: temporalAddress(),
      PROD_URL: databases.source.url,
      DR_URL: databases.target.url,
    },
    onStart: (child) => {
      // Told only once the job is submitted: then this line is there.
      child.stderr?.on('data', (text: Buffer | string) => {
        if (text.toString().includes('waits for one')) setTimeout(() => child.kill('SIGINT'), 1_000);
      });
    },
  });
  expect(run.code).toBe(5);
  expect(run.stderr).toContain('goes on');
});

test('plan shows a refused preflight and ends with 4', async () => {
  const { file, cli } = await job();
  await writeFile(
    file,
    'kind: copy\nname: x\nsource: { store: prod, tables: [public.gone] }\ntarget: { store: dr }\n',
  );
  const plan = await cli('plan', file, '-o', 'json');
  expect(plan.code).toBe(4);
  expect(JSON.parse(plan.stdout)).toMatchObject({ chunks: 0, findings: [{ code: 'source.tableMissing' }] });
});

test('apply creates a schedule, leaves it, sets it back after a change outside, and removes it', async () => {
  const { name, file, cli } = await job('schedule: { calendar: { hour: 22, dayOfWeek: mon-fri } }\n');
  const outcome = async (): Promise<unknown> =>
    (JSON.parse((await cli('apply', file, '-o', 'json')).stdout) as unknown[])[0];
  expect(await outcome()).toMatchObject({ outcome: 'created', drifted: false });
  expect(await outcome()).toMatchObject({ outcome: 'unchanged', drifted: false });
  const connection = await Connection.connect({ address: temporalAddress() });
  await new Client({ connection }).schedule.getHandle(`copy/${name}`).pause('by hand');
  await connection.close();
  expect(await outcome()).toMatchObject({ outcome: 'updated', drifted: true });
  expect(await outcome()).toMatchObject({ outcome: 'unchanged', drifted: false });
  expect(await cli('remove', name)).toMatchObject({ code: 0 });
  expect(await cli('remove', name)).toMatchObject({ code: 2 });
});

test('remove of a finished job cleans its ledger and needs no file', async () => {
  const { name, file, cli } = await job();
  await cli('run', file, '--wait');
  expect(await cli('remove', name)).toMatchObject({ code: 0 });
  const status = JSON.parse((await cli('status', name, '-o', 'json')).stdout) as unknown;
  expect(status).toMatchObject({ state: 'removed' });
});
