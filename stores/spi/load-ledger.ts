import type {
  BatchPage,
  ListBatchesInput,
  LoadRef,
  PlanTotals,
  UnitFailure,
} from '../../definitions/contracts/copy.ts';
import type { SkippedChunk } from '../../definitions/contracts/status.ts';
import type { ErrorCode } from '../../definitions/errors.ts';
import type { KeyRange, LoadUnit, TablePlan } from './chunk-source.ts';
import type { SnapshotMark } from './rows.ts';
import type { TableName } from './tables.ts';

/** What the ledger can sum up for a load. */
export interface LedgerTotals {
  readonly unitsDone: number;
  readonly unitsSkipped: number;
  /** Rows of committed units that are visible, or will be when their chunk is completed. */
  readonly rows: number;
  /** Rows of slices whose chunk was set aside: loaded, but never shown to a reader. */
  readonly rowsHidden: number;
  readonly bytes: number;
}

export interface StoredLoad {
  readonly ref: LoadRef;
  readonly totals: PlanTotals;
  readonly tables: readonly TablePlan[];
}

/**
 * Capability: plans, dead letters and watermarks, durable beside the data they speak of.
 * Ledger rows themselves are written by `UnitWriting.commit`, in the transaction of the data.
 */
export interface LoadLedger {
  /** The plan of a load, and its tables. Throws `job.notFound` when there is none. `latest` looks by job. */
  readonly plans: LoadPlans;
  readonly deadLetters: DeadLetters;
  readonly watermarks: Watermarks;
  /** Sums over the committed units of a load. */
  totals(ref: LoadRef): Promise<LedgerTotals>;
  /** Units with what became of them, in order, for people. */
  records(request: ListRecords): Promise<readonly UnitRecord[]>;
  /**
   * Every chunk of the loads of a job whose identity begins with `prefix`, with what its units were read under. A chunk of
   * several loads is that of the newest one. Absent: such a ledger has no snapshots that a log could follow.
   */
  chunks?(job: string, prefix: string): Promise<readonly LoadedChunk[]>;
  /** `remove`: every row about the job. */
  forget(job: string): Promise<void>;
  /** The same of one load, whose rows are not there any more. Absent: loads are never taken back. */
  forgetLoad?(ref: LoadRef): Promise<void>;
}

/** A chunk as a log has to know it: where its rows went, and which of them it holds already. */
export interface LoadedChunk {
  readonly load: string;
  /** `displayName` of the source leaf. */
  readonly chunk: string;
  readonly plan: TablePlan;
  readonly sourceLeaf: TableName;
  readonly targetLeaf: TableName;
  /** In the order of the plan; the whole chunk is one with range null. */
  readonly slices: readonly { readonly range: KeyRange | null; readonly mark: SnapshotMark | null }[];
  /** All of it is visible on the target. */
  readonly complete: boolean;
  /** A unit of it was set aside. */
  readonly skipped: boolean;
}

export interface ListRecords {
  readonly ref: LoadRef;
  /** Ordinal after which to list. */
  readonly after: number;
  readonly limit: number;
  readonly onlySkipped: boolean;
}

/** One unit of a plan as an operator sees it: no key range, no bound. */
export interface UnitRecord {
  readonly ordinal: number;
  readonly kind: LoadUnit['kind'];
  readonly chunk: string;
  readonly slice: number;
  readonly state: 'done' | 'skipped' | 'pending';
  /** Of the ledger; null until committed. */
  readonly rows: number | null;
  /** Of the ledger; the plan's estimate until committed. */
  readonly bytes: number;
  /** ISO 8601. */
  readonly committedAt: string | null;
  readonly code: ErrorCode | null;
  readonly message: string | null;
}

export interface LoadPlans {
  /**
   * Writes the plan in one transaction; if a complete plan of this load exists, leaves it and answers its totals.
   * Units arrive in the order of their ordinals.
   */
  write(ref: LoadRef, tables: readonly TablePlan[], units: AsyncIterable<LoadUnit>): Promise<PlanTotals>;
  read(ref: LoadRef): Promise<StoredLoad | null>;
  latest(job: string): Promise<StoredLoad | null>;
  /** Every load of a job that is remembered, newest first. */
  all(job: string): Promise<readonly StoredLoad[]>;
  /** Units `from..to`, in order. */
  units(ref: LoadRef, from: number, to: number): Promise<readonly LoadUnit[]>;
  /** Batches by planning/batches.ts over the units after `after`. */
  batches(request: ListBatchesInput): Promise<BatchPage>;
}

export interface DeadLetters {
  put(ref: LoadRef, failure: UnitFailure): Promise<void>;
  /** Removes the dead letter of a unit that was loaded after all. */
  clear(ref: LoadRef, ordinal: number): Promise<void>;
  list(ref: LoadRef, limit: number): Promise<readonly SkippedChunk[]>;
}

export interface Watermarks {
  /** ISO 8601 or column literal; null before the first verified run. */
  get(job: string): Promise<string | null>;
  /** Moves forward only; called when the whole run was verified. */
  advance(job: string, to: string, load: string): Promise<void>;
}
