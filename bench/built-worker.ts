import { execFile, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { copyFile, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { startGuardian } from '../worker/local/guardian.ts';
import type { ProcessEnvironment } from '../worker/local/temporal-environment.ts';
import { waitForWorker } from '../worker/local/worker-ready.ts';

const run = promisify(execFile);
const repository = fileURLToPath(new URL('..', import.meta.url));
/** Laid out like the package: package.json, and `dist` beside it. Our own: another bench may be running. */
export const packageFolder = join(repository, '.cache', `bench-build-${String(process.pid)}`);
const build = join(packageFolder, 'dist');

/** Plain JavaScript and a finished bundle, as an installed package has them: no compiler lives in the worker. */
export async function buildWorker(): Promise<void> {
  await rm(packageFolder, { recursive: true, force: true });
  await mkdir(packageFolder, { recursive: true });
  await copyFile(join(repository, 'package.json'), join(packageFolder, 'package.json'));
  const compiler = join(repository, 'node_modules', 'typescript', 'bin', 'tsc');
  const options = ['--outDir', build, '--declaration', 'false', '--sourceMap', 'false', '--noCheck'];
  await run(process.execPath, [compiler, '-p', join(repository, 'tsconfig.build.json'), ...options]);
  const bundler = pathToFileURL(join(build, 'worker', 'workflow-bundle.js')).href;
  await run(process.execPath, ['-e', `import('${bundler}').then((module) => module.workflowBundlePath())`]);
}

export async function removeBuild(): Promise<void> {
  await rm(packageFolder, { recursive: true, force: true });
}

export interface WorkerStart {
  readonly config: string;
  readonly env: ProcessEnvironment;
  readonly address: string;
  readonly taskQueue: string;
  readonly logFile: string;
  readonly profile: string | null;
}

export interface BuiltWorker {
  readonly pid: number;
  stop(): Promise<void>;
  /** kill -9. */
  kill(): Promise<void>;
}

/** Resolves when the Temporal server sees it poll. */
export async function startBuiltWorker(start: WorkerStart): Promise<BuiltWorker> {
  const guardian = startGuardian({ signal: 'TERM' });
  const log = openSync(start.logFile, 'a');
  const profiling = start.profile === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${start.profile}`];
  const words = [...profiling, join(build, 'cli', 'main.js'), 'worker', '--config', start.config];
  const child = spawn(process.execPath, words, {
    stdio: ['ignore', log, log],
    env: start.env,
    detached: true,
  });
  closeSync(log);
  const pid = child.pid ?? 0;
  if (pid !== 0) guardian.watch(pid);
  let over = false;
  const ended = new Promise<void>((resolve) => {
    child.once('error', () => resolve());
    child.once('exit', () => resolve());
  }).finally(() => {
    over = true;
    guardian.forget();
  });
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    const impatience = setTimeout(() => child.kill('SIGKILL'), 10_000);
    await ended;
    clearTimeout(impatience);
    guardian.dismiss();
  };
  try {
    await waitForWorker({ address: start.address, taskQueue: start.taskQueue, pid, gaveUp: () => over });
  } catch (error) {
    await stop();
    const said = await readFile(start.logFile, 'utf8').catch(() => '');
    throw new Error(`The worker did not start:\n${said.slice(-2_000)}`, { cause: error });
  }
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  return { pid, stop, kill };
}
