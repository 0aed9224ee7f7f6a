import type { ErrorCode } from '../errors.ts';
import type { Consistency, FailMode, ResolvedCopyJob, VerifyMode } from './job.ts';
import type { SkippedChunk } from './status.ts';

/**
 * What crosses Temporal for kind `copy`. Small plain JSON; no row, no key value, no chunk list.
 * The plan (units in order) lives in the target's ledger schema and is addressed by ordinals.
 */

/** One load of one job: the address of a plan and its ledger rows on the target. */
export interface LoadRef {
  readonly job: string;
  /** Identity of the load: `run:<id>`, or `window:<from>/<to>` where repeating must add nothing. */
  readonly load: string;
  /** First run id of the workflow chain: survives continue-as-new. */
  readonly run: string;
  readonly sourceStore: string;
  readonly targetStore: string;
  /** The source is a backup in `sourceStore`. */
  readonly sourceArtifact?: ArtifactAddress;
  /** The target is a backup in `targetStore`. */
  readonly targetArtifact?: ArtifactAddress;
}

/** One backup within a store of files. */
export interface ArtifactAddress {
  /** Without `/` at either end. */
  readonly path: string;
  readonly backup: string;
}

/** Argument of the workflow `copy`. */
export interface CopyInput {
  readonly job: ResolvedCopyJob;
  /** SHA-256 of the resolved job, hex: ties a UI row to the file it came from. */
  readonly definitionHash: string;
  /**
   * `run`: the whole job. `retry`: what the latest load is missing: dead letters, and the rest of a terminated run.
   * `remove`: clean up a job that is not running.
   */
  readonly intent: 'run' | 'retry' | 'remove';
  /** When the run was due, ISO 8601; absent means the workflow's start time. */
  readonly scheduledTime?: string;
  /** Set by continue-as-new only. */
  readonly carried?: CopyCarried;
}

/** State that survives continue-as-new. Nothing is in flight then. */
export interface CopyCarried {
  readonly run: string;
  readonly startedAt: string;
  readonly ref: LoadRef | null;
  /** Ordinal of the last unit handed out; 0 = none. */
  readonly cursor: number;
  readonly cursorDone: boolean;
  /** Batches handed back (paused, waiting for another attempt), with attempts made so far. */
  readonly waiting: readonly WaitingBatch[];
  readonly totals: CopyTotals;
  readonly plan: PlanTotals | null;
  readonly paused: boolean;
  readonly policy: { readonly mode: FailMode; readonly attempts: number; readonly parallel?: number };
  /** Passes over the dead letters begun so far; 0 = the ordinary pass. */
  readonly retryRound: number;
  /** Another pass over the dead letters was asked for. */
  readonly retryRequested?: boolean;
  /** Fail mode `stop` acted and nobody has resumed. */
  readonly stopped?: { readonly code: ErrorCode; readonly message: string };
  /** Skipped units whose chunk's `finish` is still to come: it must be skipped too. One per chunk. */
  readonly skippedSlices?: readonly SkippedSlice[];
  /** Warnings of the preparation, for the result. */
  readonly warnings?: readonly string[];
}

export interface SkippedSlice {
  readonly ordinal: number;
  readonly code: ErrorCode;
}

export interface WaitingBatch {
  readonly batch: UnitBatch;
  readonly attempts: number;
  readonly code: ErrorCode | null;
  readonly message: string | null;
  /** How long it still has to wait; absent or 0: not at all. */
  readonly dueInMs?: number;
  /** An operator asked to skip it: it is set aside instead of tried. */
  readonly setAside?: true;
}

/**
 * Consecutive units `from..to` (ordinals, both inclusive) handled by one activity.
 * `finish` is a single unit that completes a sliced chunk: it may start only when no unit of the
 * same chunk is in flight or waiting.
 */
export interface UnitBatch {
  readonly from: number;
  readonly to: number;
  readonly kind: 'load' | 'finish';
  readonly units: number;
  readonly bytes: number;
  /** Ordinal of the first unit of the chunk that `from` belongs to, and that `to` belongs to. */
  readonly firstChunk: number;
  readonly lastChunk: number;
  /** For the UI: `public.trades_20240103`, `public.big#17`, `public.t_0001 … +499`. */
  readonly label: string;
}

export interface CopyTotals {
  readonly unitsDone: number;
  readonly unitsSkipped: number;
  readonly rowsRead: number;
  readonly rowsWritten: number;
  readonly rowsSkipped: number;
  readonly bytes: number;
}

export interface PlanTotals {
  readonly units: number;
  readonly chunks: number;
  readonly bytes: number;
  readonly tables: number;
}

/** Result of the workflow, and of `run --wait -o json` after `seconds` is added by the client. */
export interface CopyResult {
  readonly name: string;
  readonly kind: 'copy';
  readonly state: 'done' | 'removed';
  readonly chunks: { readonly total: number; readonly done: number; readonly skipped: number };
  readonly rows: number;
  readonly bytes: number;
  readonly ms: number;
  readonly skipped: readonly SkippedChunk[];
  /** Findings that did not stop the job, e.g. a partition that appeared while copying. */
  readonly warnings: readonly string[];
  /** With `consistent: true`: the place in the source's log that the target is equal to. */
  readonly consistentAt?: string;
}

export interface PreflightFinding {
  readonly severity: 'error' | 'warning' | 'info';
  readonly code: ErrorCode | null;
  readonly table: string | null;
  /** A sentence with the fact; no row values. */
  readonly message: string;
  readonly cure: string | null;
}

/** Answer of `plan -o json` (CLI prints `chunks`, `bytes`, `consistency`, `slowPath`, `notCarried` at least). */
export interface PlanReport {
  readonly chunks: number;
  readonly bytes: number;
  readonly tables: readonly PlannedTable[];
  /** `chunk`: each chunk at its own instant. */
  readonly consistency: Consistency;
  /** Tables that take a slower way than binary COPY into a frozen fresh table, and why. */
  readonly slowPath: readonly { readonly table: string; readonly reason: string }[];
  /** What `createTables` does not rebuild on the target. */
  readonly notCarried: readonly string[];
  readonly findings: readonly PreflightFinding[];
}

export interface PlannedTable {
  readonly source: string;
  readonly target: string;
  readonly chunks: number;
  readonly slices: number;
  readonly bytes: number;
  readonly rowsEstimate: number;
  readonly format: 'binary' | 'text' | 'csv';
  readonly strategy: string;
  readonly willCreate: boolean;
}

export interface PrepareInput {
  readonly job: ResolvedCopyJob;
  readonly run: string;
  readonly scheduledTime: string;
}

export interface PreparedLoad {
  readonly ref: LoadRef;
  readonly plan: PlanTotals;
  readonly warnings: readonly string[];
  /** Units of this load that an earlier run has already committed (append by window, retried prepare). */
  readonly alreadyDone: number;
}

export interface ListBatchesInput {
  readonly ref: LoadRef;
  /** Ordinal after which to list. */
  readonly after: number;
  /** At most this many batches. */
  readonly limit: number;
  /** Only units without a ledger row: dead letters, and what a terminated run did not come to. */
  readonly onlyMissing: boolean;
}

export interface BatchPage {
  readonly batches: readonly UnitBatch[];
  /** Pass as `after` for the next page. */
  readonly next: number;
  readonly end: boolean;
}

export interface LoadUnitsInput {
  readonly ref: LoadRef;
  readonly batch: UnitBatch;
  readonly verify: VerifyMode;
  /** A unit whose rows are on the target already, by digest, is not written again. */
  readonly onlyChanged?: boolean;
  /** Bound on the buffers of all units of this job that one worker has in flight. */
  readonly memoryBytes: number;
  /** Share of the job's throttle for this activity. */
  readonly throttleBytesPerSecond?: number;
}

export interface UnitFailure {
  readonly ordinal: number;
  readonly chunk: string;
  readonly code: ErrorCode;
  readonly message: string;
}

/**
 * What one activity did. A batch of one unit throws on failure; a batch of several goes on past a failing
 * unit and names it in `failed` (at most 50, then it throws), so that one bad chunk does not hold up others.
 */
export interface LoadUnitsResult {
  readonly unitsDone: number;
  readonly rowsRead: number;
  readonly rowsWritten: number;
  readonly bytes: number;
  readonly failed: readonly UnitFailure[];
}

export interface SkipUnitInput {
  readonly ref: LoadRef;
  readonly failure: UnitFailure;
}

export interface FinishCopyInput {
  readonly ref: LoadRef;
  readonly job: ResolvedCopyJob;
  readonly totals: CopyTotals;
}

export interface FinishedCopy {
  readonly totals: CopyTotals;
  readonly skipped: readonly SkippedChunk[];
  readonly warnings: readonly string[];
}

/**
 * The activities of kind `copy`. Every one is idempotent: the ledger on the target says what is done.
 * Failures carry `type` = error code. Long ones heartbeat and obey cancellation within seconds.
 */
export interface CopyActivities {
  /** Runs all checks, writes nothing. Never throws for a refused preflight: findings say so. */
  planCopy(input: PrepareInput): Promise<PlanReport>;
  /** Checks, creates tables, resolves windows, writes the plan. Repeated: returns the plan already there. */
  prepareCopy(input: PrepareInput): Promise<PreparedLoad>;
  listBatches(input: ListBatchesInput): Promise<BatchPage>;
  /** Loads units in order; a unit found in the ledger is counted as done and not touched. */
  loadUnits(input: LoadUnitsInput): Promise<LoadUnitsResult>;
  /** Completes a sliced chunk: keys, indexes, verify, swap. Fails with `source.chunkChanged` if a slice is missing. */
  finishChunk(input: LoadUnitsInput): Promise<LoadUnitsResult>;
  /** Writes the dead letter of one unit; `skipUnit` then `loadUnits` of the same unit removes it again. */
  skipUnit(input: SkipUnitInput): Promise<void>;
  /** ANALYZE, sequences, foreign keys, watermark; checks read = written + skipped. */
  finishCopy(input: FinishCopyInput): Promise<FinishedCopy>;
  /** The latest load of a job that ended, for `retry`; null when the ledger knows none. */
  latestLoad(input: PrepareInput): Promise<PreparedLoad | null>;
  /** `remove`: staging, plan, ledger, idle sessions on both sides. Idempotent; a missing side is an error. */
  removeCopy(input: PrepareInput): Promise<void>;
}

/** Heartbeat details of `loadUnits`, `finishChunk`: readable in the UI's Pending Activities. */
export interface LoadHeartbeat {
  readonly chunk: string;
  readonly step: 'waiting' | 'copying' | 'indexing' | 'verifying' | 'swapping';
  readonly unitsDone: number;
  readonly units: number;
  readonly rows: number;
  readonly bytes: number;
}
