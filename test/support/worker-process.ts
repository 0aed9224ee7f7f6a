import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startGuardian } from '../../worker/local/guardian.ts';
import { onlyTemporal } from '../../worker/local/temporal-environment.ts';
import { waitForWorker } from '../../worker/local/worker-ready.ts';
import { commandLine } from './command.ts';

/** An entry under `stores:`, `kind` among them. */
export type StoreSettings = Readonly<Record<string, unknown>>;

export interface WorkerProcessOptions {
  /** The `stores:` of its syncline.yaml: by name the URL of a PostgreSQL server, or the whole entry of another store. */
  readonly stores: Readonly<Record<string, string | StoreSettings>>;
  /** Lines for more of them, for instance `vault: { kind: directory, path: /tmp/vault }`. */
  readonly moreStores?: readonly string[];
  readonly temporalAddress: string;
  readonly taskQueue: string;
  /** For instance SYNCLINE_FAULT. */
  readonly env?: Readonly<Record<string, string>>;
  /** Lines for `worker:` of its syncline.yaml, for instance `metrics: { address: 127.0.0.1:9464 }`. */
  readonly settings?: readonly string[];
  /** More words after `worker --config FILE`. */
  readonly args?: readonly string[];
}

/** `syncline worker` as a process of its own, to be killed. */
export interface WorkerProcess {
  readonly pid: number;
  /** What it printed so far on both outputs. */
  output(): string;
  /** Resolves when it has ended: its exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
  /** SIGTERM, then waits for the end. */
  terminate(): Promise<number | NodeJS.Signals>;
  /** SIGKILL, then waits for the end. */
  kill(): Promise<number | NodeJS.Signals>;
}

const repository = fileURLToPath(new URL('../..', import.meta.url));

/** Resolves when the worker polls its task queue. Rejects with its output if it ends before. */
export async function startWorkerProcess(options: WorkerProcessOptions): Promise<WorkerProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'syncline-worker-test-'));
  const guardian = startGuardian({ signal: 'KILL', directories: [folder] });
  const config = join(folder, 'syncline.yaml');
  await writeFile(config, configText(options), { mode: 0o600 });
  const args = commandLine('worker', '--config', config, ...(options.args ?? []));
  const child = spawn(process.execPath, args, {
    cwd: repository,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...(await onlyTemporal(options.temporalAddress, folder)), ...options.env },
  });
  if (child.pid !== undefined) guardian.watch(child.pid);
  const ended = endOf(child).finally(async () => {
    guardian.forget();
    await rm(folder, { recursive: true, force: true });
    guardian.dismiss();
  });
  const started = asWorker(child, ended);
  await becomesReady(started, options);
  return started;
}

function configText({ stores, moreStores = [], taskQueue, settings = [] }: WorkerProcessOptions): string {
  const lines = Object.entries(stores).map(([name, store]) => {
    const entry = typeof store === 'string' ? { kind: 'postgres', url: store } : store;
    return `  ${name}: ${JSON.stringify(entry)}`;
  });
  const worker = settings.length === 0 ? [] : ['worker:', ...settings.map((line) => `  ${line}`)];
  const more = moreStores.map((line) => `  ${line}`);
  return ['stores:', ...lines, ...more, 'temporal:', `  taskQueue: ${taskQueue}`, ...worker, ''].join('\n');
}

function asWorker(child: ChildProcess, ended: Promise<number | NodeJS.Signals>): WorkerProcess {
  const pieces: Buffer[] = [];
  child.stdout?.on('data', (piece: Buffer) => pieces.push(piece));
  child.stderr?.on('data', (piece: Buffer) => pieces.push(piece));
  const end = async (signal: NodeJS.Signals): Promise<number | NodeJS.Signals> => {
    child.kill(signal);
    return await ended;
  };
  return {
    pid: child.pid ?? 0,
    output: () => Buffer.concat(pieces).toString('utf8'),
    ended,
    terminate: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  };
}

async function becomesReady(worker: WorkerProcess, options: WorkerProcessOptions): Promise<void> {
  let over = false;
  void worker.ended.then(() => {
    over = true;
  });
  const { temporalAddress: address, taskQueue } = options;
  try {
    await waitForWorker({ address, taskQueue, pid: worker.pid, gaveUp: () => over });
  } catch (error) {
    await worker.kill();
    throw new Error(`The worker did not become ready. It printed:\n${worker.output()}`, { cause: error });
  }
}

async function endOf(child: ChildProcess): Promise<number | NodeJS.Signals> {
  return await new Promise((resolve, reject) => {
    child.once('error', reject);
    // `close`, not `exit`: then everything it printed has arrived.
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'SIGKILL'));
  });
}
