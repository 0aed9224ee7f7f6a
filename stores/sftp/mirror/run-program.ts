import { spawn } from 'node:child_process';

export interface Program {
  readonly command: string;
  readonly arguments: readonly string[];
  readonly folder?: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Written to its standard input, which is then closed. */
  readonly input?: string;
  readonly signal?: AbortSignal;
}

export interface Ended {
  /** Null when a signal ended it. */
  readonly code: number | null;
  /** The first 64 KiB. */
  readonly output: string;
  /** The last 64 KiB. */
  readonly complaints: string;
}

const keptCharacters = 65_536;
const patienceMs = 5_000;

/** No shell is between us and the program. Null when there is none of that name. Aborted: ended, then the reason. */
export async function runProgram(program: Program): Promise<Ended | null> {
  const { signal } = program;
  signal?.throwIfAborted();
  const child = spawn(program.command, [...program.arguments], {
    env: { ...program.environment },
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(program.folder === undefined ? {} : { cwd: program.folder }),
  });
  let output = '';
  let complaints = '';
  child.stdout.setEncoding('latin1').on('data', (text: string) => {
    if (output.length < keptCharacters) output += text;
  });
  child.stderr.setEncoding('latin1').on('data', (text: string) => {
    complaints = (complaints + text).slice(-keptCharacters);
  });
  // It may end before it has read everything: its exit code says why.
  child.stdin.on('error', () => undefined);
  child.stdin.end(program.input ?? '');
  let killing: NodeJS.Timeout | undefined;
  const stop = (): void => {
    child.kill('SIGTERM');
    killing = setTimeout(() => child.kill('SIGKILL'), patienceMs);
  };
  signal?.addEventListener('abort', stop, { once: true });
  try {
    const code = await new Promise<number | null | 'none'>((resolve, reject) => {
      child.on('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') resolve('none');
        else reject(error);
      });
      child.on('close', resolve);
    });
    signal?.throwIfAborted();
    return code === 'none' ? null : { code, output, complaints };
  } finally {
    clearTimeout(killing);
    signal?.removeEventListener('abort', stop);
  }
}
