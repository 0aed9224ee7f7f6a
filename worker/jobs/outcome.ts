import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure, CancelledFailure, TerminatedFailure } from '@temporalio/common';
import type { PreflightFinding } from '../../definitions/contracts/copy.ts';
import type { JobResult } from '../../definitions/contracts/jobs.ts';
import { type ErrorCode, errorTable, isErrorCode } from '../../definitions/errors.ts';

/**
 * How a run ended. `stopped`: fail mode `stop` acted; the run waits for a person, so waiting for it makes no sense.
 * `ended`: cancelled or terminated from outside, or never started.
 */
export type Outcome =
  | { readonly kind: 'result'; readonly result: JobResult }
  | {
      readonly kind: 'failed' | 'stopped';
      readonly code: ErrorCode;
      readonly message: string;
      readonly cure: string;
      /** Of a refused preflight: every error, each with the cure of its own. */
      readonly findings?: readonly PreflightFinding[];
    }
  | { readonly kind: 'ended'; readonly message: string };

/** Over all stages, where there are any. */
export function skippedUnits(result: JobResult): number {
  if (!('stages' in result)) return result.chunks.skipped;
  return result.stages.reduce((sum, { chunks }) => sum + chunks.skipped, 0);
}

/** Waits for the end. Rejects only when Temporal does not answer. */
export async function outcomeOf(result: Promise<JobResult | null>): Promise<Outcome> {
  try {
    const value = await result;
    if (value !== null) return { kind: 'result', result: value };
    return { kind: 'ended', message: 'It was not started: another run was active.' };
  } catch (error) {
    if (error instanceof WorkflowFailedError) return failureOutcome(error.cause);
    throw error;
  }
}

function failureOutcome(cause: unknown): Outcome {
  if (cause instanceof TerminatedFailure) return { kind: 'ended', message: 'It was terminated.' };
  if (cause instanceof CancelledFailure) return { kind: 'ended', message: 'It was cancelled.' };
  const failure = applicationFailure(cause);
  const code = errorCodeOf(failure) ?? 'internal.unexpected';
  const message = failure?.message ?? (cause instanceof Error ? cause.message : 'The run failed.');
  const findings = code === 'preflight.refused' ? findingsOf(failure) : [];
  const known = { kind: 'failed', code, message, cure: errorTable[code].cure } as const;
  return findings.length === 0 ? known : { ...known, findings };
}

/** They are the only detail of the failure; an older worker sent none. */
function findingsOf(failure: ApplicationFailure | null): readonly PreflightFinding[] {
  const found: unknown = failure?.details?.[0];
  return Array.isArray(found) ? found.filter(isFinding) : [];
}

function isFinding(value: unknown): value is PreflightFinding {
  return typeof value === 'object' && value !== null && 'severity' in value && 'message' in value;
}

/** The innermost failure that names one of our codes, else the outermost. */
function applicationFailure(cause: unknown): ApplicationFailure | null {
  let found: ApplicationFailure | null = null;
  for (let at = cause; at instanceof Error; at = at.cause) {
    if (!(at instanceof ApplicationFailure)) continue;
    if (errorCodeOf(at) !== null) return at;
    found ??= at;
  }
  return found;
}

/** Workflows and activities put our code into the failure's type. */
export function errorCodeOf(failure: unknown): ErrorCode | null {
  const type = failure instanceof ApplicationFailure ? (failure.type ?? '') : '';
  return isErrorCode(type) ? type : null;
}
