import type { PreflightFinding } from '../../definitions/contracts/copy.ts';
import type { JobResult } from '../../definitions/contracts/jobs.ts';
import type {
  ChunkCounts,
  JobStatus,
  SkippedChunk,
  StageStatus,
} from '../../definitions/contracts/status.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import { type Outcome, skippedUnits } from '../../worker/jobs/outcome.ts';
import type { WaitOutcome } from '../settled.ts';
import { findingLines } from './plan.ts';
import { stageLines } from './stages.ts';
import { bytesText, countText, durationText, plural, rateText } from './amounts.ts';

/** The one object that `run --wait -o json` prints for a job. */
export interface RunSummary {
  readonly name: string;
  readonly kind: string;
  /** `running`: a duplication that is consistent and goes on. */
  readonly state: 'done' | 'failed' | 'stopped' | 'removed' | 'ended' | 'running';
  readonly chunks: Omit<ChunkCounts, 'inFlight'>;
  readonly rows: number;
  readonly bytes: number;
  readonly seconds: number;
  /** Of a kind with stages; `chunks`, `rows` and `bytes` are then those of the last one. */
  readonly stages?: readonly StageStatus[];
  /** The backup that was made, moved or restored; null: none yet. */
  readonly backup?: string | null;
  /** Of a duplication: the place in the log from which on the target is equal to the source; of the last one of several. */
  readonly consistentAt?: string;
  readonly links?: readonly SettledLink[];
  readonly skipped?: readonly SkippedChunk[];
  readonly warnings?: readonly string[];
  readonly error?: {
    readonly code: string | null;
    readonly message: string;
    readonly cure: string | null;
    readonly findings?: readonly PreflightFinding[];
  };
}

/** A target of a duplication when the wait for it was over. */
export interface SettledLink {
  readonly target: string;
  readonly consistentAt: string | null;
  readonly lagMs: number | null;
}

type Failure = Extract<Outcome, { kind: 'failed' | 'stopped' }>;

export interface EndedRun {
  readonly name: string;
  readonly kind: string;
  readonly outcome: WaitOutcome;
  /** The last status that was seen: all there is to say of a run without result. */
  readonly status: JobStatus | null;
  readonly seconds: number;
}

export function summaryOf({ name, kind, outcome, status, seconds }: EndedRun): RunSummary {
  if (outcome.kind === 'result') return ofResult(outcome.result, seconds);
  if (outcome.kind === 'settled') return ofSettled(outcome.status, seconds);
  const { total = 0, done = 0, skipped = 0 } = status?.chunks ?? {};
  return {
    name,
    kind,
    state: outcome.kind,
    chunks: { total, done, skipped },
    rows: status?.rows.written ?? 0,
    bytes: status?.bytes ?? 0,
    seconds,
    ...stagesOf(status?.stages),
    error: outcome.kind !== 'ended' ? errorOf(outcome) : { code: null, message: outcome.message, cure: null },
  };
}

function ofSettled({ name, kind, chunks, rows, bytes, links = [] }: JobStatus, seconds: number): RunSummary {
  const settled = links.map(({ target, progress }) => ({
    target,
    consistentAt: progress?.consistentAt ?? null,
    lagMs: progress?.lagMs ?? null,
  }));
  const last = settled.reduce(
    (at, { consistentAt }) => ((consistentAt ?? '') > at ? (consistentAt ?? '') : at),
    '',
  );
  return {
    ...{ name, kind, state: 'running' },
    chunks: { total: chunks.total, done: chunks.done, skipped: chunks.skipped },
    ...{ rows: rows.written, bytes, seconds, consistentAt: last, links: settled },
  };
}

function stagesOf(stages: readonly StageStatus[] | undefined): Pick<RunSummary, 'stages' | 'backup'> {
  if (stages === undefined) return {};
  return { stages, backup: stages.findLast(({ backup }) => backup !== null)?.backup ?? null };
}

function ofResult(result: JobResult, seconds: number): RunSummary {
  const { name, kind, state, chunks, rows, bytes, skipped, warnings } = result;
  return {
    name,
    kind,
    state,
    chunks: { total: chunks.total, done: chunks.done, skipped: chunks.skipped },
    rows,
    bytes,
    seconds,
    ...('stages' in result ? { stages: result.stages, backup: result.backup } : {}),
    ...(skipped.length === 0 ? {} : { skipped }),
    ...(warnings.length === 0 ? {} : { warnings }),
  };
}

function errorOf({ code, message, cure, findings }: Failure): NonNullable<RunSummary['error']> {
  return { code, message, cure, ...(findings === undefined ? {} : { findings }) };
}

export function exitCodeOfOutcome(outcome: WaitOutcome): ExitCode {
  switch (outcome.kind) {
    case 'result': {
      const { result } = outcome;
      return result.state === 'done' && skippedUnits(result) === 0 ? exitCodes.done : exitCodes.failed;
    }
    case 'failed':
      return outcome.code === 'preflight.refused' ? exitCodes.preflightRefused : exitCodes.failed;
    case 'stopped':
      return exitCodes.failed;
    case 'settled':
      return outcome.status.chunks.skipped === 0 ? exitCodes.done : exitCodes.failed;
    case 'ended':
      return exitCodes.noResult;
  }
}

export function summaryLines(summary: RunSummary): string[] {
  const { stages } = summary;
  return [
    `${summary.kind}/${summary.name}: ${summary.state}`,
    ...(stages === undefined ? amountLines(summary) : stageAmountLines(summary, stages)),
    ...(summary.links ?? []).map(
      ({ target, consistentAt }) => `  ${target}: consistent at ${consistentAt ?? '-'}; its log is followed`,
    ),
    ...(summary.warnings ?? []).map((warning) => `  warning: ${warning}`),
    ...(summary.skipped ?? []).map(({ chunk, slice, code, message }) => {
      return `  skipped ${chunk}${slice === 0 ? '' : `#${slice}`}: ${message} (${code})`;
    }),
    ...errorLines(summary),
  ];
}

function amountLines({ chunks, seconds, bytes, rows }: RunSummary): string[] {
  const rate = seconds > 0 ? `, ${rateText(bytes / seconds)}` : '';
  return [
    `  ${countText(chunks.done)} of ${plural(chunks.total, 'chunk')} done, ${countText(chunks.skipped)} skipped`,
    `  ${plural(rows, 'row')}, ${bytesText(bytes)} in ${durationText(seconds * 1000)}${rate}`,
  ];
}

/** How long each stage took is in the history; the run as a whole has no rate. */
function stageAmountLines({ seconds, backup }: RunSummary, stages: readonly StageStatus[]): string[] {
  const one = backup === null || backup === undefined ? '' : `, backup ${backup}`;
  return [...stageLines(stages), `  in ${durationText(seconds * 1000)}${one}`];
}

function errorLines({ error, name, state }: RunSummary): string[] {
  if (error === undefined) return [];
  const { findings = [] } = error;
  const cure = error.cure === null ? [] : [`  cure: ${error.cure}`];
  // The findings say it in full, each with the cure of its own.
  const what =
    findings.length === 0
      ? [`  ${error.message}${error.code === null ? '' : ` (${error.code})`}`, ...cure]
      : [...findings.flatMap(findingLines), `  preflight refused (${error.code ?? ''}); nothing was written`];
  return [
    ...what,
    state === 'stopped'
      ? `  \`syncline resume ${name}\` goes on after the cure, \`syncline skip ${name}\` without the failing chunks.`
      : `  \`syncline history ${name}\` prints where to look.`,
  ];
}
