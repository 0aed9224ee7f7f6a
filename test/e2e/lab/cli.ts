import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { commandLine } from '../../support/command.ts';
import { onlyTemporal } from '../../../worker/local/temporal-environment.ts';

export interface CliOptions {
  readonly stores: Readonly<Record<string, string>>;
  readonly temporalAddress: string;
  readonly taskQueue: string;
}

export interface CliAnswer {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command line as a user has it, in a folder of its own. */
export interface Cli {
  /** Each run of `syncline` is a process; `files` are written into the folder before. */
  run(words: readonly string[], files?: Readonly<Record<string, string>>): Promise<CliAnswer>;
  end(): Promise<void>;
}

const repository = fileURLToPath(new URL('../../..', import.meta.url));

export async function createCli({ stores, temporalAddress, taskQueue }: CliOptions): Promise<Cli> {
  const folder = await mkdtemp(join(tmpdir(), 'syncline-cli-'));
  const lines = Object.entries(stores).map(
    ([name, url]) => `  ${name}: { kind: postgres, url: ${JSON.stringify(url)} }`,
  );
  const config = join(folder, 'syncline.yaml');
  await writeFile(config, ['stores:', ...lines, 'temporal:', `  taskQueue: ${taskQueue}`, ''].join('\n'), {
    mode: 0o600,
  });
  const env = await onlyTemporal(temporalAddress, folder);
  return {
    async run(words, files = {}) {
      for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
      const found = words.map((word) => (Object.hasOwn(files, word) ? join(folder, word) : word));
      return await answerOf(commandLine('--config', config, ...found), env);
    },
    end: () => rm(folder, { recursive: true, force: true }),
  };
}

async function answerOf(args: readonly string[], env: NodeJS.ProcessEnv): Promise<CliAnswer> {
  const child = spawn(process.execPath, args, { cwd: repository, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].on('data', (data: Buffer) => (said[stream] += data.toString('utf8')));
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { code, ...said };
}
