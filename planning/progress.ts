import type { CopyTotals, LoadUnitsResult, PlanTotals, WaitingBatch } from '../definitions/contracts/copy.ts';
import type { FailMode, JobKind } from '../definitions/contracts/job.ts';
import type { JobPhase, JobState, JobStatus } from '../definitions/contracts/status.ts';
import type { ErrorCode } from '../definitions/errors.ts';
import { needsAttention } from './retry-budget.ts';

export const noTotals: CopyTotals = {
  unitsDone: 0,
  unitsSkipped: 0,
  rowsRead: 0,
  rowsWritten: 0,
  rowsSkipped: 0,
  bytes: 0,
};

/** What an activity did, added up. In a pass over dead letters a unit done is one unit less that is skipped. */
export function addResult(
  totals: CopyTotals,
  result: LoadUnitsResult,
  pass: { readonly retry: boolean },
): CopyTotals {
  return {
    ...totals,
    unitsDone: totals.unitsDone + result.unitsDone,
    unitsSkipped: totals.unitsSkipped - (pass.retry ? result.unitsDone : 0),
    rowsRead: totals.rowsRead + result.rowsRead,
    rowsWritten: totals.rowsWritten + result.rowsWritten,
    bytes: totals.bytes + result.bytes,
  };
}

/** A unit set aside. In a pass over dead letters it was counted before. */
export function addSkipped(totals: CopyTotals, pass: { readonly retry: boolean }): CopyTotals {
  return pass.retry ? totals : { ...totals, unitsSkipped: totals.unitsSkipped + 1 };
}

export interface Trouble {
  readonly code: ErrorCode;
  readonly message: string;
  readonly attempts: number;
}

/** Everything a status is derived from. Times are ISO 8601. */
export interface JobFacts {
  readonly name: string;
  readonly kind: JobKind;
  /** Where the work is, whoever may hold it up. */
  readonly step: 'init' | 'load' | 'finish' | 'done';
  readonly paused: boolean;
  readonly stopped: { readonly code: ErrorCode; readonly message: string } | null;
  readonly ended: 'done' | 'failed' | 'removed' | null;
  /** Why it ended or is held up, when no error code says it. */
  readonly note: string | null;
  readonly totals: CopyTotals;
  readonly plan: PlanTotals | null;
  readonly unitsInFlight: number;
  /** Whether an activity that a pause takes back is still out. */
  readonly busy: boolean;
  readonly trouble: Trouble | null;
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly onFailure: { readonly mode: FailMode; readonly attempts: number };
}

export function statusOf(facts: JobFacts): JobStatus {
  const { totals, plan, trouble, stopped } = facts;
  const held = stopped ?? trouble;
  const attention =
    facts.ended === 'failed' ||
    stopped !== null ||
    leftBehind(facts) ||
    (facts.ended === null && trouble !== null && needsAttention(trouble));
  return {
    name: facts.name,
    kind: facts.kind,
    phase: phaseOf(facts),
    state: stateOf(facts),
    needsAttention: attention,
    reason: leftBehind(facts) ? skippedReason(facts.name, totals.unitsSkipped) : reasonOf(facts, held),
    reasonCode: facts.ended === 'done' || facts.ended === 'removed' ? null : (held?.code ?? null),
    chunks: {
      total: plan?.units ?? 0,
      done: totals.unitsDone,
      skipped: totals.unitsSkipped,
      inFlight: facts.unitsInFlight,
    },
    rows: { read: totals.rowsRead, written: totals.rowsWritten, skipped: totals.rowsSkipped },
    bytes: totals.bytes,
    plannedBytes: plan?.bytes ?? 0,
    lagMs: null,
    lagBytes: null,
    position: null,
    consistentAt: null,
    startedAt: facts.startedAt,
    endedAt: facts.endedAt,
    onFailure: facts.onFailure,
  };
}

function reasonOf({ note, ended }: JobFacts, held: { readonly message: string } | null): string | null {
  return note ?? (ended === 'done' || ended === 'removed' ? null : (held?.message ?? null));
}

/** Over, and something is missing on the target: nobody may overlook that. */
function leftBehind({ ended, totals }: JobFacts): boolean {
  return ended === 'done' && totals.unitsSkipped > 0;
}

export function skippedReason(name: string, skipped: number): string {
  return `${String(skipped)} skipped; \`syncline retry ${name}\` tries them again.`;
}

function phaseOf(facts: JobFacts): JobPhase {
  if (facts.ended === 'removed' || facts.ended === 'done') return facts.ended;
  if (facts.ended === 'failed') return facts.step;
  if (isPaused(facts)) return 'paused';
  return facts.stopped === null ? facts.step : 'stopped';
}

function stateOf(facts: JobFacts): JobState {
  if (facts.ended !== null) return facts.ended;
  if (isPaused(facts)) return 'paused';
  return facts.stopped === null ? 'running' : 'stopped';
}

/** Only when everything in flight has come back: until then something still moves. */
function isPaused(facts: JobFacts): boolean {
  return facts.paused && !facts.busy;
}

/** The one to tell of: what needs a person first, then what was tried most often. */
export function worstTrouble(waiting: readonly WaitingBatch[]): Trouble | null {
  let worst: Trouble | null = null;
  for (const { batch, code, message, attempts } of waiting) {
    if (code === null) continue;
    const found = { code, message: `${batch.label}: ${message ?? code}`, attempts };
    if (worst === null || weight(found) > weight(worst)) worst = found;
  }
  return worst;
}

function weight(trouble: Trouble): number {
  return trouble.attempts + (needsAttention(trouble) ? 1_000_000 : 0);
}

/** 0 to 100, of the units; 100 only when all are over. */
export function percentDone(totals: CopyTotals, plan: PlanTotals | null): number {
  if (plan === null || plan.units === 0) return 0;
  return Math.floor((100 * (totals.unitsDone + totals.unitsSkipped)) / plan.units);
}
