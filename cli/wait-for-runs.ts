import type { TemporalAccess } from '../worker/connection.ts';
import type { Submitted } from './client.ts';
import type { CommandContext, CommandResult } from './context.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { ProgressDisplay } from './progress-display.ts';
import { exitCodeOfOutcome, summaryLines, summaryOf } from './render/summary.ts';
import { watchRun } from './waiting.ts';

export interface AwaitedRuns {
  readonly runs: readonly Submitted[];
  /** `settled`: a duplication, which does not end by itself, is waited for until its targets are consistent. */
  readonly until: 'ended' | 'settled';
}

/** Waits for all, prints one summary each, in order. Ctrl-C ends the wait, never the jobs. */
export async function waitForRuns(
  context: CommandContext,
  access: TemporalAccess,
  awaited: AwaitedRuns,
): CommandResult {
  const giveUp = new AbortController();
  const onInterrupt = (): void => giveUp.abort();
  process.once('SIGINT', onInterrupt);
  process.once('SIGTERM', onInterrupt);
  try {
    const codes = await waitAll(context, access, { ...awaited, signal: giveUp.signal });
    return worst(codes);
  } finally {
    process.off('SIGINT', onInterrupt);
    process.off('SIGTERM', onInterrupt);
  }
}

interface Waits extends AwaitedRuns {
  readonly signal: AbortSignal;
}

async function waitAll(
  context: CommandContext,
  access: TemporalAccess,
  { runs, until, signal }: Waits,
): Promise<ExitCode[]> {
  const display = new ProgressDisplay(context.output);
  const startedAt = Date.now();
  const watched = runs.map(async (submitted) => {
    const { outcome, status } = await watchRun(access, {
      submitted,
      signal,
      until,
      everyMs: display.everyMs,
      onSample: (sample) => display.show(submitted.address, sample),
    });
    return { outcome, status, submitted, seconds: (Date.now() - startedAt) / 1000 };
  });
  const codes: ExitCode[] = [];
  for (const end of watched) {
    const { outcome, status, submitted, seconds } = await end;
    display.clear();
    codes.push(outcome === null ? exitCodes.noResult : exitCodeOfOutcome(outcome));
    const { address } = submitted;
    if (outcome === null) {
      context.output.note(leftRunning(submitted, signal.aborted));
      continue;
    }
    const summary = summaryOf({ name: address.name, kind: address.kind, outcome, status, seconds });
    context.output.value(summary);
    for (const line of summaryLines(summary)) context.output.line(line);
  }
  return codes;
}

function leftRunning({ address }: Submitted, interrupted: boolean): string {
  const why = interrupted ? 'Stopped waiting' : 'Temporal does not answer any more';
  return `${why}; ${address.workflowId} goes on. \`syncline status ${address.name}\` shows it, \`syncline remove ${address.name}\` ends it.`;
}

function worst(codes: readonly ExitCode[]): ExitCode {
  return codes.find((code) => code !== exitCodes.done) ?? exitCodes.done;
}
