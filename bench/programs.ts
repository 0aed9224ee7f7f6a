import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** First line of `--version`; null when the program is not installed. */
export async function versionOf(program: string): Promise<string | null> {
  try {
    const { stdout } = await run(program, ['--version']);
    return stdout.trim().split('\n')[0] ?? null;
  } catch {
    return null;
  }
}

/** Runs programs joined by pipes and waits for all. An exit code that is not 0 is an error with what was said. */
export async function runPipe(commands: readonly (readonly string[])[]): Promise<void> {
  const children: ChildProcess[] = [];
  let before: ChildProcess | null = null;
  for (const [index, [program = '', ...args]] of commands.entries()) {
    const child: ChildProcess = spawn(program, args, {
      stdio: [before?.stdout ?? 'ignore', index === commands.length - 1 ? 'ignore' : 'pipe', 'pipe'],
    });
    // The pipe belongs to the next program now; holding it here would keep the first from seeing it closed.
    before?.stdout?.destroy();
    children.push(child);
    before = child;
  }
  await Promise.all(children.map((child, index) => ended(child, commands[index]?.[0] ?? '')));
}

async function ended(child: ChildProcess, program: string): Promise<void> {
  let said = '';
  child.stderr?.on('data', (piece: Buffer) => (said = (said + piece.toString('utf8')).slice(-2_000)));
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`${program} ended with ${String(code)}: ${said}`));
    });
  });
}

/** At most `atOnce` at a time, in order. */
export async function inParallel<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const rest = items.values();
  const lane = async (): Promise<void> => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, lane));
}
