import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { createDatabasePair, type DatabasePair } from '../support/postgres.ts';
import { temporalAddress, uniqueJobName, uniqueTaskQueue } from '../support/temporal.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.ts';
import { runCli, type CliRun } from './run-cli.ts';

let databases: DatabasePair;
let worker: WorkerProcess;
let folder: string;
let config: string;
const taskQueue = uniqueTaskQueue();

beforeAll(async () => {
  databases = await createDatabasePair();
  await databases.source.query(
    `CREATE TABLE public.t (id int PRIMARY KEY); INSERT INTO public.t VALUES (1), (2)`,
  );
  await databases.target.query(
    `CREATE TABLE public.t (id int PRIMARY KEY CONSTRAINT below_two CHECK (id < 2))`,
  );
  folder = await mkdtemp(join(tmpdir(), 'syncline-operators-'));
  const stores = { prod: databases.source.url, dr: databases.target.url };
  config = join(folder, 'stores.yaml');
  const lines = Object.entries(stores).map(([name, url]) => `  ${name}: { kind: postgres, url: '${url}' }`);
  await writeFile(config, ['stores:', ...lines, `temporal: { taskQueue: ${taskQueue} }`, ''].join('\n'));
  worker = await startWorkerProcess({ stores, temporalAddress: temporalAddress(), taskQueue });
});

afterAll(async () => {
  await worker.terminate();
  await databases.drop();
  await rm(folder, { recursive: true, force: true });
});

async function cli(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CliRun> {
  return await runCli([...args, '--config', config], {
    env: { TEMPORAL_ADDRESS: temporalAddress(), ...env },
  });
}

test('a chunk that fails is shown while it waits, the policy of its job is changed, and it is set aside', async () => {
  const name = uniqueJobName('policy');
  const file = join(folder, `${name}.yaml`);
  await writeFile(
    file,
    `kind: copy\nname: ${name}\nsource: { store: prod, tables: [public.t] }\ntarget: { store: dr }\n` +
      'onFailure: { mode: slow, backoff: { initial: 1h, max: 1h } }\n',
  );
  expect(await cli(['run', file])).toMatchObject({ code: 0 });
  const status = await eventually(async () => {
    const answer = JSON.parse((await cli(['status', name, '-o', 'json'])).stdout) as {
      needsAttention: boolean;
    };
    return answer.needsAttention ? answer : null;
  });
  expect(status).toMatchObject({ reasonCode: 'target.constraint' });
  const failing = await cli(['chunks', name, '--failing']);
  expect(failing.stdout).toMatch(/^public\.t .*below_two.*\(target\.constraint\)$/m);

  expect(await cli(['policy', name])).toMatchObject({ code: 2 });
  expect(await cli(['policy', name, '--attempts', '0'])).toMatchObject({ code: 2 });
  expect(await cli(['policy', name, '--mode', 'fast'])).toMatchObject({ code: 2 });
  const changed = await cli(['policy', name, '--mode', 'skip', '--attempts', '1', '--parallel', '2']);
  expect(changed).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/skip, 1 attempts?; 2 at once/) as string,
  });
  expect(await cli(['retry', name, '--waiting'])).toMatchObject({ code: 0 });
  await eventually(async () => {
    const { state, chunks } = JSON.parse((await cli(['status', name, '-o', 'json'])).stdout) as {
      state: string;
      chunks: { skipped: number };
    };
    return state === 'done' && chunks.skipped === 1;
  });
});

test('doctor names the search attributes that a namespace lacks, and the command that adds them', async () => {
  const namespace = uniqueJobName('bare');
  const connection = await Connection.connect({ address: temporalAddress() });
  await connection.workflowService.registerNamespace({
    namespace,
    workflowExecutionRetentionPeriod: msToTs('1 day'),
  });
  await connection.close();
  const doctor = await eventually(async () => {
    const answer = await cli(['doctor', '-o', 'json'], { TEMPORAL_NAMESPACE: namespace });
    return answer.stdout.includes('missing Syncline') ? answer : null;
  });
  expect(doctor.code).toBe(3);
  const { checks } = JSON.parse(doctor.stdout) as {
    checks: { what: string; ok: boolean; cure: string | null }[];
  };
  const attributes = checks.find(({ what }) => what === 'search attributes');
  expect(attributes).toMatchObject({ ok: false });
  expect(attributes?.cure).toContain(`temporal operator search-attribute create --namespace ${namespace}`);
});
