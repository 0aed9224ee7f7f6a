import type { ErrorCode } from '../errors.ts';
import type { LinkStatus } from './duplication.ts';
import type { BackupStage, FailMode, JobKind } from './job.ts';

/** What an operator is shown; always derived from workflow state or the ledger, never stored beside it. */

/** Where a job is in its life. A copy knows `init`, `load`, `finish` and the control phases. */
export type JobPhase =
  'init' | 'checkpoint' | 'load' | 'log' | 'finish' | 'paused' | 'stopped' | 'removed' | 'done';

/**
 * - `running`, `paused`: as they say.
 * - `stopped`: fail mode `stop` acted; waits for `resume`, `skip` or `remove`.
 * - `done`: everything is over; `skipped` chunks may remain (then the exit status is 1).
 * - `failed`: ended without result (preflight refused, or never-retry error).
 * - `removed`: everything of the job was cleaned up.
 * - `unknown`: no worker answers and no ledger is reachable.
 */
export type JobState = 'running' | 'paused' | 'stopped' | 'done' | 'failed' | 'removed' | 'unknown';

export interface ChunkCounts {
  /** Units of work: chunks, and slices of big chunks. */
  readonly total: number;
  readonly done: number;
  readonly skipped: number;
  readonly inFlight: number;
}

export interface RowCounts {
  readonly read: number;
  readonly written: number;
  readonly skipped: number;
}

export interface JobStatus {
  readonly name: string;
  readonly kind: JobKind;
  readonly phase: JobPhase;
  readonly state: JobState;
  readonly needsAttention: boolean;
  /** Why it is not moving, or why attention is needed; null when all is well. */
  readonly reason: string | null;
  readonly reasonCode: ErrorCode | null;
  readonly chunks: ChunkCounts;
  readonly rows: RowCounts;
  /** COPY bytes moved so far (without what is in flight). */
  readonly bytes: number;
  /** Estimated bytes of the whole plan. */
  readonly plannedBytes: number;
  readonly lagMs: number | null;
  readonly lagBytes: number | null;
  readonly position: string | null;
  readonly consistentAt: string | null;
  readonly startedAt: string;
  /** ISO 8601; null while running. */
  readonly endedAt: string | null;
  readonly onFailure: { readonly mode: FailMode; readonly attempts: number };
  /** Of a kind with stages: which one `phase`, `chunks`, `rows` and `bytes` speak of, and what became of all. */
  readonly stage?: BackupStage;
  readonly stages?: readonly StageStatus[];
  /** Of a duplication: one a target. The fields above are of the link that is worst off. */
  readonly links?: readonly LinkStatus[];
}

/** One stage of a backup-restore; `backup` is null until it is known. */
export interface StageStatus {
  readonly stage: BackupStage;
  readonly state: 'waiting' | 'running' | 'done';
  readonly backup: string | null;
  readonly chunks: ChunkCounts;
  readonly rows: number;
  readonly bytes: number;
}

/** One skipped unit, as shown by `chunks --skipped` and in the result (first 100). */
export interface SkippedChunk {
  readonly ordinal: number;
  readonly chunk: string;
  readonly slice: number;
  readonly code: ErrorCode;
  readonly message: string;
}
