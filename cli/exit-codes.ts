import type { ErrorCode } from '../definitions/errors.ts';

/** Scripts rely on these numbers; docs/reference/cli.md prints them. */
export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  preflightRefused: 4,
  noResult: 5,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export const exitCodeTexts: Readonly<Record<keyof typeof exitCodes, string>> = {
  done: 'done',
  failed: 'the job failed or skipped something, or the command was refused',
  usage: 'bad usage or definition, or a job that does not exist',
  unreachable: 'Temporal, a store or a worker is not reachable',
  preflightRefused: 'preflight refused: nothing was written',
  noResult: '`--wait` ended without a result; the job goes on, or was ended by somebody else',
};

const unreachable: readonly ErrorCode[] = [
  'store.unreachable',
  'store.connectionLost',
  'store.authentication',
  'store.tooManyConnections',
  'temporal.unreachable',
  'temporal.refused',
  'job.noWorker',
];

/** For an error of the command itself; how a job ended is judged in render/summary.ts. */
export function exitCodeOf(code: ErrorCode): ExitCode {
  if (code.startsWith('definition.') || code === 'job.notFound') return exitCodes.usage;
  if (unreachable.includes(code)) return exitCodes.unreachable;
  return code === 'preflight.refused' ? exitCodes.preflightRefused : exitCodes.failed;
}
