import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { commandLine } from '../support/command.ts';
import { eventually } from '../support/eventually.ts';
import { createDatabasePair, type DatabasePair } from '../support/postgres.ts';
import { findFreePort, isFreePort } from '../../worker/local/free-port.ts';
import { waitForWorker } from '../../worker/local/worker-ready.ts';
import { onlyTemporal } from '../../worker/local/temporal-environment.ts';
import { runCli, type CliRun } from './run-cli.ts';

let databases: DatabasePair;
let folder: string;
let ports: { readonly server: number; readonly ui: number };
const running: ChildProcess[] = [];

beforeAll(async () => {
  databases = await createDatabasePair();
  await databases.source.query(`CREATE TABLE public.dev_rows (id int PRIMARY KEY);
    INSERT INTO public.dev_rows SELECT generate_series(1, 100)`);
  folder = await mkdtemp(join(tmpdir(), 'syncline-dev-'));
  ports = { server: await findFreePort(), ui: await findFreePort() };
  await writeFile(
    join(folder, 'syncline.yaml'),
    `stores:\n  prod: { kind: postgres, url: '${databases.source.url}' }\n  dr: { kind: postgres, url: '${databases.target.url}' }\ntemporal: { taskQueue: dev-test }\n`,
  );
  await writeFile(
    join(folder, 'job.yaml'),
    'kind: copy\nname: dev-job\nsource: { store: prod, tables: [public.dev_rows] }\ntarget: { store: dr, createTables: true }\n',
  );
});

afterAll(async () => {
  for (const child of running) child.kill('SIGKILL');
  await databases.drop();
  await rm(folder, { recursive: true, force: true });
});

interface Dev {
  readonly output: () => string;
  /** Ctrl-C; answers the exit code. */
  interrupt(): Promise<number | null>;
}

async function startDev(): Promise<Dev> {
  const args = ['dev', '--port', String(ports.server), '--ui-port', String(ports.ui)];
  const child = spawn(process.execPath, commandLine(...args), {
    cwd: folder,
    env: await onlyTemporal('', folder),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.push(child);
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (more: string) => (text += more));
  child.stderr.setEncoding('utf8').on('data', (more: string) => (text += more));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  await eventually(() => text.includes('Temporal at ') || child.exitCode !== null, {});
  expect(child.exitCode, text).toBeNull();
  await waitForWorker({
    address: `127.0.0.1:${String(ports.server)}`,
    taskQueue: 'dev-test',
    pid: child.pid ?? 0,
    gaveUp: () => child.exitCode !== null,
  });
  return {
    output: () => text,
    interrupt: () => {
      child.kill('SIGINT');
      return ended;
    },
  };
}

async function cli(...args: string[]): Promise<CliRun> {
  const env = {
    TEMPORAL_ADDRESS: `127.0.0.1:${String(ports.server)}`,
    TEMPORAL_CONFIG_FILE: join(folder, 'temporal.toml'),
  };
  return await runCli(args, { cwd: folder, env });
}

test('dev copies through a server of its own, ends all of it with Ctrl-C, and knows its jobs the next time', async () => {
  const first = await startDev();
  expect(first.output()).toContain(`127.0.0.1:${String(ports.ui)}`);
  const page = await fetch(`http://127.0.0.1:${String(ports.ui)}/`);
  expect(page.ok).toBe(true);
  const run = await cli('run', 'job.yaml', '--wait', '-o', 'json');
  expect(run, run.stderr).toMatchObject({ code: 0 });
  expect(await databases.target.query('SELECT count(*) FROM public.dev_rows')).toEqual([{ count: '100' }]);
  expect(await first.interrupt()).toBe(0);
  expect(await isFreePort(ports.server)).toBe(true);
  expect(await isFreePort(ports.ui)).toBe(true);

  const second = await startDev();
  const status = await cli('status', 'dev-job', '-o', 'json');
  expect(JSON.parse(status.stdout)).toMatchObject({
    name: 'dev-job',
    state: 'done',
    rows: { written: 100 },
  });
  expect((await cli('history', 'dev-job')).stdout).toContain('dev-job');
  expect(await second.interrupt()).toBe(0);
});
