import { parseArgs } from 'node:util';
import { checkNames } from './duplication/names.ts';

export const benchNames = ['copy', 'memory', 'chunks', 'backup', 'online-offline', 'duplication'] as const;
export type BenchName = (typeof benchNames)[number];

export interface BenchOptions {
  readonly bench: BenchName;
  /** Both given, or both started here, on this machine: PostgreSQL 15, or 18 for `duplication`. */
  readonly servers: { readonly source: string; readonly target: string } | null;
  /** Of the table (of `duplication`: the one that is loaded under a kill); `memory` sizes its two tables in MB of COPY bytes instead. */
  readonly rows: number | null;
  readonly partitions: number | null;
  readonly rounds: number;
  readonly smallMB: number;
  readonly largeMB: number;
  /** COPY bytes of the one chunk that `backup` takes the peak of memory with; 0 = leave that part out. */
  readonly chunkBytes: number;
  /** Of each backlog of small transactions of `duplication`. */
  readonly transactions: number;
  /** How long the steady load of `duplication` lasts. */
  readonly seconds: number;
  /** Ways (and parts of `duplication`) to run, by name; null = all. */
  readonly only: readonly string[] | null;
  /** Print nothing on standard output but the result. */
  readonly json: boolean;
  /** Folder for a CPU profile of the worker; it costs some speed. */
  readonly profile: string | null;
}

export class UsageError extends Error {}

const usage = `Usage: npm run --silent bench -- copy|memory|chunks|backup|online-offline|duplication
         [--source URL --target URL] [--rows N] [--partitions N] [--rounds N] [--only way,way] [--small-mb N] [--large-mb N]
         [--chunk-bytes N] [--transactions N] [--seconds N] [--profile DIR] [--json]`;

export function parseOptions(args: readonly string[]): BenchOptions {
  try {
    return parsed(args);
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : String(error)}\n${usage}`);
  }
}

function parsed(args: readonly string[]): BenchOptions {
  const text = { type: 'string' } as const;
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      source: text,
      target: text,
      rows: text,
      partitions: text,
      rounds: text,
      only: text,
      profile: text,
      'small-mb': text,
      'large-mb': text,
      'chunk-bytes': text,
      transactions: text,
      seconds: text,
      json: { type: 'boolean', default: false },
    },
  });
  const [name, ...rest] = positionals;
  const bench = benchNames.find((one) => one === name);
  if (bench === undefined || rest.length > 0)
    throw new Error(`There is no bench "${positionals.join(' ')}".`);
  const { source, target } = values;
  if ((source === undefined) !== (target === undefined)) throw new Error('Give both --source and --target.');
  const only = values.only?.split(',') ?? null;
  if (bench === 'duplication') checkNames(only);
  return {
    bench,
    servers: source === undefined || target === undefined ? null : { source, target },
    rows: count('--rows', values.rows),
    partitions: count('--partitions', values.partitions),
    rounds: count('--rounds', values.rounds) ?? 3,
    smallMB: count('--small-mb', values['small-mb']) ?? 100,
    largeMB: count('--large-mb', values['large-mb']) ?? 2_000,
    chunkBytes: values['chunk-bytes'] === '0' ? 0 : (count('--chunk-bytes', values['chunk-bytes']) ?? 2e9),
    transactions: count('--transactions', values.transactions) ?? 60_000,
    seconds: count('--seconds', values.seconds) ?? 30,
    only,
    json: values.json,
    profile: values.profile ?? null,
  };
}

function count(option: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`${option} must be a whole number from 1 on.`);
  return value;
}
