export const chaosKinds = ['copy', 'backup-restore', 'duplication'] as const;
export type ChaosKind = (typeof chaosKinds)[number];

export interface ChaosOptions {
  readonly kind: ChaosKind;
  readonly seeds: readonly number[];
  readonly json: boolean;
  /** Prints the plan of every run and each fault when it comes. */
  readonly verbose: boolean;
}

export class UsageError extends Error {}

export const usage = `Usage: npm run chaos -- <copy|backup-restore|duplication> [--seeds 1..20] [--json] [--verbose]
  Runs jobs of random shape while workers, servers and networks are killed and cut, and counts the damage.
  --seeds    one seed, or first..last; the same seed makes the same choices
  --json     only the last line goes to standard output: {runs, faults, lost, doubled, torn, recopiedShare}
  --verbose  the plan of every run, and each fault when it comes`;

export function readOptions(words: readonly string[]): ChaosOptions {
  const options = { seeds: [1, 2, 3], json: false, verbose: false };
  const [named, ...rest] = words;
  const kind = chaosKinds.find((one) => one === named);
  if (kind === undefined) {
    const kinds = chaosKinds.join(', ');
    throw new UsageError(`"${named ?? ''}" is no kind of job that can be tried; kinds: ${kinds}.`);
  }
  for (let at = 0; at < rest.length; at += 1) {
    const word = rest[at] ?? '';
    if (word === '--json') options.json = true;
    else if (word === '--verbose') options.verbose = true;
    else if (word === '--seeds') options.seeds = seedsOf(rest[(at += 1)] ?? '');
    else throw new UsageError(`"${word}" is no option.`);
  }
  return { kind, ...options };
}

const mostSeeds = 10_000;

function seedsOf(text: string): number[] {
  const found = /^(\d{1,9})(?:\.\.(\d{1,9}))?$/.exec(text);
  const first = Number(found?.[1]);
  const last = Number(found?.[2] ?? first);
  if (found === null || last < first || last - first >= mostSeeds) {
    throw new UsageError(`--seeds "${text}" is no seed, and no first..last.`);
  }
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
