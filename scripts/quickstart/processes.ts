import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { defaultTaskQueue } from '../../definitions/contracts/names.ts';
import { SynclineError } from '../../definitions/errors.ts';
import { startGuardian } from '../../worker/local/guardian.ts';
import { waitForWorker } from '../../worker/local/worker-ready.ts';
import { repository, type Workspace } from './workspace.ts';

const stopDeadlineMs = 10_000;

/** The CLI exactly as a user has it, from the checkout. */
function cliArguments(words: readonly string[]): string[] {
  return ['--import', 'tsx', 'cli/main.ts', ...words];
}

export interface RunningWorker {
  readonly pid: number;
  stop(): Promise<void>;
}

/** `syncline worker` in a process of its own; resolves when the Temporal server sees it. Errors: `job.noWorker`. */
export async function startWorker(workspace: Workspace, address: string): Promise<RunningWorker> {
  const guardian = startGuardian({ signal: 'TERM' });
  const log = openSync(workspace.workerLog, 'a');
  const child = spawn(process.execPath, cliArguments(['worker', '--config', workspace.config]), {
    cwd: repository,
    detached: true,
    stdio: ['ignore', log, log],
    env: workspace.env,
  });
  closeSync(log);
  const pid = child.pid ?? 0;
  if (pid !== 0) guardian.watch(pid);
  const ended = endOf(child).finally(() => guardian.forget());
  let over = false;
  void ended.then(() => (over = true));
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    const impatience = setTimeout(() => child.kill('SIGKILL'), stopDeadlineMs);
    await ended;
    clearTimeout(impatience);
    guardian.dismiss();
  };
  try {
    await waitForWorker({ address, taskQueue: defaultTaskQueue, pid, gaveUp: () => over });
  } catch (error) {
    await stop();
    const said = await readFile(workspace.workerLog, 'utf8').catch(() => '');
    const message = error instanceof Error ? error.message : String(error);
    throw new SynclineError('job.noWorker', `${message} It printed:\n${said.slice(-2_000)}`, {
      cause: error,
    });
  }
  return { pid, stop };
}

/** Runs one CLI command with our terminal; its standard output can be sent to standard error. Answers the exit code. */
export async function runCli(
  words: readonly string[],
  workspace: Workspace,
  quiet: boolean,
): Promise<number> {
  const child = spawn(process.execPath, cliArguments(words), {
    cwd: repository,
    stdio: ['inherit', quiet ? 2 : 'inherit', 'inherit'],
    env: workspace.env,
  });
  return await endOf(child);
}

async function endOf(child: ChildProcess): Promise<number> {
  return await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}
