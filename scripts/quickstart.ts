import { SynclineError } from '../definitions/errors.ts';
import { backupRestoreQuickstart } from './quickstart/backup-restore.ts';
import { copyQuickstart } from './quickstart/copy.ts';
import { duplicationQuickstart } from './quickstart/duplication.ts';
import {
  parseOptions,
  type QuickstartKind,
  type QuickstartOptions,
  UsageError,
} from './quickstart/options.ts';
import type { Finished, QuickstartResult, Surroundings } from './quickstart/scene.ts';

/** `npm run quickstart`: a real table travels between two real servers, with nothing installed but Node. */
async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  const out = options.json ? process.stderr : process.stdout;
  const say = (line: string): void => void out.write(`${line}\n`);
  const finished = await workAndCleanUp(options, say);
  if (finished === 'interrupted') return interruptedStatus;
  // After the clean-up, so that nothing follows it.
  if (options.json) process.stdout.write(`${JSON.stringify(finished.result)}\n`);
  return finished.result.ok ? 0 : 1;
}

const acts: Readonly<Record<QuickstartKind, (surroundings: Surroundings) => Promise<Finished>>> = {
  copy: copyQuickstart,
  'backup-restore': backupRestoreQuickstart,
  duplication: duplicationQuickstart,
};

const interruptedStatus = 130;

const nothingDone: QuickstartResult = {
  ok: false,
  sourceRows: 0,
  targetRows: 0,
  digestEqual: false,
  uiUrl: '',
};

async function workAndCleanUp(
  options: QuickstartOptions,
  say: (line: string) => void,
): Promise<Finished | 'interrupted'> {
  const ends: (() => Promise<void>)[] = [];
  const interrupted = interruption();
  try {
    const work = acts[options.kind]({ say, onEnd: (end) => ends.push(end), quiet: options.json });
    // Interrupted, it fails later for want of its servers; nobody asks any more.
    work.catch(() => undefined);
    const finished = await Promise.race([work, interrupted]);
    if (finished !== 'interrupted' && !options.exit) {
      say(finished.nextSteps);
      await interrupted;
    }
    return finished;
  } finally {
    say('Stopping the servers and removing their data …');
    for (const end of ends.reverse()) await end();
  }
}

/** Ctrl-C, kill, and a closed terminal end it in order; the second time at once, and the guardians clear up. */
async function interruption(): Promise<'interrupted'> {
  let times = 0;
  return await new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        times += 1;
        if (times > 1) process.exit(interruptedStatus);
        resolve('interrupted');
      });
    }
  });
}

function explain(error: unknown): string {
  if (error instanceof UsageError) return error.message;
  if (error instanceof SynclineError) return `${error.message}\n${error.cure}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`quickstart: ${explain(error)}\n`);
  if (process.argv.includes('--json')) process.stdout.write(`${JSON.stringify(nothingDone)}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
// A start that was interrupted half-way may still be waiting for something.
process.exit();
