import { SynclineError } from '../definitions/errors.ts';
import { startOwnPlace } from '../test/e2e/lab/own-place.ts';
import buildCommand from '../test/support/setup-command.ts';
import { openBackupScene } from './chaos/backup-restore.ts';
import { type ChaosRun, type ChaosScene, runChaos, type Trials } from './chaos/copy.ts';
import { openDuplicationScene } from './chaos/duplication.ts';
import { type ChaosKind, type ChaosOptions, readOptions, usage, UsageError } from './chaos/options.ts';
import { planOf } from './chaos/plan.ts';

/** Random faults from a seed. Exit code 0: no damage at all. */

/** The last line of `--json`. */
export interface ChaosResult {
  readonly runs: number;
  readonly faults: number;
  /** Rows. */
  readonly lost: number;
  /** Rows. */
  readonly doubled: number;
  /**
   * Looks at a chunk that showed neither its old content nor its new one; objects of a backup other than they must be; looks
   * at a live copy at which it was not at a commit boundary of its source.
   */
  readonly torn: number;
  /** Bytes copied again, as a share of the bytes that had to be copied. */
  readonly recopiedShare: number;
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  const say = (line: string): void =>
    void (options.json ? process.stderr : process.stdout).write(`${line}\n`);
  // A killed worker has a next one: from the sources each would take seconds of the machine to begin.
  const leaveBuild = await buildCommand();
  const runs = await runAll(options, say).finally(leaveBuild);
  const result = sumOf(runs);
  process.stdout.write(`${JSON.stringify(result)}\n`);
  return runs.every(isRight) ? 0 : 1;
}

async function runAll(
  { kind, seeds, verbose }: ChaosOptions,
  say: (line: string) => void,
): Promise<ChaosRun[]> {
  const place = await startOwnPlace();
  const scene: ChaosScene = { place, say: verbose ? say : () => undefined };
  const kindOf = await trialsOf(kind, scene);
  const runs: ChaosRun[] = [];
  try {
    for (const seed of seeds) {
      const trial = kindOf.trial(seed);
      if (verbose) say(JSON.stringify(trial.plan));
      const startedAt = Date.now();
      const run = await trial.run();
      runs.push(run);
      const seconds = ((Date.now() - startedAt) / 1_000).toFixed(1);
      say(`seed ${seed}: ${trial.title}, ${run.faults} faults, ${seconds} s, ${verdictOf(run)}`);
    }
  } finally {
    await kindOf.close();
    await place.stop();
  }
  return runs;
}

async function trialsOf(kind: ChaosKind, scene: ChaosScene): Promise<Trials> {
  switch (kind) {
    case 'copy':
      return copyTrials(scene);
    case 'backup-restore':
      return await openBackupScene(scene);
    case 'duplication':
      return openDuplicationScene(scene);
  }
}

function copyTrials(scene: ChaosScene): Trials {
  return {
    trial(seed) {
      const plan = planOf(seed);
      return { plan, title: plan.shape.mode, run: () => runChaos(plan, scene) };
    },
    close: () => Promise.resolve(),
  };
}

function isRight(run: ChaosRun): boolean {
  const { lost, doubled, torn, different, complaint } = run;
  return lost === 0 && doubled === 0 && torn === 0 && !different && complaint === null;
}

function verdictOf(run: ChaosRun): string {
  const again = `${(share([run]) * 100).toFixed(1)} % copied again`;
  if (isRight(run)) return `right, ${again}`;
  const { lost, doubled, torn, different, complaint } = run;
  const damage = `${lost} lost, ${doubled} doubled, ${torn} torn${different ? ', content differs' : ''}`;
  return `WRONG: ${damage}, ${again}. ${complaint ?? ''}`;
}

function sumOf(runs: readonly ChaosRun[]): ChaosResult {
  const total = (key: 'faults' | 'lost' | 'doubled' | 'torn'): number =>
    runs.reduce((sum, run) => sum + run[key], 0);
  return {
    runs: runs.length,
    faults: total('faults'),
    lost: total('lost'),
    doubled: total('doubled'),
    torn: total('torn'),
    recopiedShare: Number(share(runs).toFixed(4)),
  };
}

function share(runs: readonly ChaosRun[]): number {
  const copied = runs.reduce((sum, run) => sum + run.copiedBytes, 0);
  const again = runs.reduce((sum, run) => sum + run.recopiedBytes, 0);
  return copied === 0 ? 0 : again / copied;
}

function explain(error: unknown): string {
  if (error instanceof UsageError) return `${error.message}\n${usage}`;
  if (error instanceof SynclineError) return `${error.message}\n${error.cure}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`chaos: ${explain(error)}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
