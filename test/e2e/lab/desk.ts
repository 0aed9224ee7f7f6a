import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { onlyTemporal } from '../../../worker/local/temporal-environment.ts';
import { createDatabasePair, type DatabasePair } from '../../support/postgres.ts';
import { temporalAddress, uniqueTaskQueue } from '../../support/temporal.ts';
import { commandLine } from '../../support/command.ts';
import { startWorkerProcess, type WorkerProcess } from '../../support/worker-process.ts';
import { type CliAnswer } from './cli.ts';

export interface Words {
  /** Other variables for this run; `undefined` takes one away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  readonly onStart?: (child: ChildProcess) => void;
}

/** What an operator sits at: two databases, a folder with syncline.yaml, the command line, and Temporal's own client. */
export interface Desk extends Omit<DatabasePair, 'drop'> {
  readonly folder: string;
  readonly taskQueue: string;
  readonly temporalAddress: string;
  /** Its syncline.yaml. */
  readonly config: string;
  /** As the Temporal UI would use it. */
  readonly client: Client;
  /** Writes a file into the folder and answers its path. */
  write(name: string, text: string): Promise<string>;
  /** One run of `syncline`, a process of its own, its output piped. */
  syncline(args: readonly string[], words?: Words): Promise<CliAnswer>;
  /** The same with `-o json`: exit code and what it printed, line by line. */
  json(...args: string[]): Promise<{ readonly code: number | null; readonly values: readonly unknown[] }>;
  /** `site`: the task queue that it polls instead of the desk's own. */
  startWorker(env?: Readonly<Record<string, string>>, site?: string): Promise<WorkerProcess>;
  end(): Promise<void>;
}

export interface DeskOptions {
  /** Lines for more stores in its syncline.yaml, for instance `vault: { kind: directory, path: … }`. */
  readonly moreStores?: (folder: string) => readonly string[];
}

export async function openDesk({ moreStores = () => [] }: DeskOptions = {}): Promise<Desk> {
  const databases = await createDatabasePair();
  const { source, target } = databases;
  const folder = await mkdtemp(join(tmpdir(), 'syncline-desk-'));
  const taskQueue = uniqueTaskQueue();
  const config = join(folder, 'syncline.yaml');
  const stores = { source: source.url, target: target.url };
  const more = moreStores(folder);
  await writeFile(config, configText({ stores, more, taskQueue }), { mode: 0o600 });
  const env = await onlyTemporal(temporalAddress(), folder);
  const connection = await Connection.connect({ address: temporalAddress() });
  const workers: WorkerProcess[] = [];
  const syncline: Desk['syncline'] = (args, words = {}) =>
    answerOf(args, { ...words, cwd: words.cwd ?? folder, env: { ...env, ...words.env } });
  return {
    ...{ source, target, folder, taskQueue, config, syncline },
    temporalAddress: temporalAddress(),
    client: new Client({ connection }),
    async write(name, text) {
      await writeFile(join(folder, name), text);
      return join(folder, name);
    },
    async json(...args) {
      const { code, stdout } = await syncline([...args, '-o', 'json']);
      const lines = stdout.split('\n').filter((line) => line !== '');
      return { code, values: lines.map((line) => JSON.parse(line) as unknown) };
    },
    async startWorker(workerEnv = {}, site = taskQueue) {
      const worker = await startWorkerProcess({
        ...{ stores, moreStores: more, temporalAddress: temporalAddress(), taskQueue: site, env: workerEnv },
      });
      workers.push(worker);
      return worker;
    },
    async end() {
      await Promise.all(workers.map((worker) => worker.kill()));
      await connection.close();
      await databases.drop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

interface ConfigParts {
  readonly stores: Readonly<Record<string, string>>;
  readonly more: readonly string[];
  readonly taskQueue: string;
}

function configText({ stores, more, taskQueue }: ConfigParts): string {
  const lines = Object.entries(stores).map(
    ([name, url]) => `  ${name}: { kind: postgres, url: ${JSON.stringify(url)} }`,
  );
  const others = more.map((line) => `  ${line}`);
  return ['stores:', ...lines, ...others, 'temporal:', `  taskQueue: ${taskQueue}`, ''].join('\n');
}

async function answerOf(args: readonly string[], { env, cwd, onStart }: Words): Promise<CliAnswer> {
  const child = spawn(process.execPath, commandLine(...args), {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onStart?.(child);
  const said = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (text: string) => (said[stream] += text));
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { code, ...said };
}
