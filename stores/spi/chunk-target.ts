import type { LoadRef } from '../../definitions/contracts/copy.ts';
import type { VerifyMode } from '../../definitions/contracts/job.ts';
import type { AnnouncedSlice, LoadUnit, TablePlan } from './chunk-source.ts';
import type { ContentMark, Digest, EarlierLoad, RowFormat, RowStream, SnapshotMark } from './rows.ts';

export interface BeginWriting {
  readonly ref: LoadRef;
  readonly plan: TablePlan;
  readonly unit: LoadUnit;
  /** Attempt number of the activity, for the ledger. */
  readonly attempt: number;
  readonly verify: VerifyMode;
  readonly signal: AbortSignal;
}

/** What the ledger says of a unit that is committed. */
export interface LoadedUnit {
  /**
   * Rows written. Rows that the target left out of it (`TablePlan.filteredOnTarget`) count as neither read nor written;
   * rows that were there already (`keep`) or are referred to count as both.
   */
  readonly rows: number;
  readonly bytes: number;
  readonly digest: Digest | null;
}

/** Everything of the ledger row that the target cannot know itself. */
export interface UnitReceipt {
  readonly rows: number;
  readonly bytes: number;
  readonly digest: Digest | null;
  readonly mark: SnapshotMark;
  /** For targets that may refer to these rows later (`UnitWriting.earlier`). */
  readonly content?: ContentMark | null;
}

/** Capability: writes units. Data and ledger row are one transaction: either both are there, or neither. */
export interface ChunkTarget {
  readonly formats: readonly RowFormat[];
  /** Whether `framed` streams are taken as they are. */
  readonly takesFramed: boolean;
  /**
   * Takes the unit's lock, ends an older attempt that still holds it, and looks into the ledger.
   * Answers `loaded` when the unit is committed already (then there is nothing to close).
   */
  begin(request: BeginWriting): Promise<{ readonly loaded: LoadedUnit } | { readonly writing: UnitWriting }>;
  /**
   * Begins to complete a sliced chunk, whose slices are all in the ledger: the same object, but `write` is not called.
   * `slices` is what the ledger rows of the slices add up to. Throws `source.chunkChanged` when a slice is missing.
   */
  beginFinish(
    request: BeginWriting,
  ): Promise<
    { readonly loaded: LoadedUnit } | { readonly writing: UnitWriting; readonly slices: LoadedUnit }
  >;
  /**
   * Before `begin` of a slice whose chunk becomes visible as a whole (`swap`, `in-place`): if the rows of the whole chunk
   * are there already, by digest, all of its slices and its `finish` go into the ledger (rows counted, no bytes), so
   * that `begin` and `beginFinish` answer `loaded`. Compared once a chunk, whichever slice comes first; after the answer
   * was no, it stays no. Answers whether they are there. Absent: never.
   */
  keepChunk?(request: BeginWriting, slices: readonly AnnouncedSlice[]): Promise<boolean>;
  /** Rows of the target table that meet the plan's window and filter. Before an append: whose are they? */
  rowsPresent(plan: TablePlan): Promise<number>;
  /**
   * At the end of a load: throws `target.constraint` when a row that it may have written refers, by a foreign key of
   * the target, to a row that is not there. Checks that the server makes by itself need not be repeated.
   */
  checkReferences(plans: readonly TablePlan[]): Promise<void>;
  /** `remove`: drops staging and shadow tables of a job and ends its sessions. Returns how many objects went. */
  removeStaging(job: string): Promise<number>;
}

/** One unit being written in one open transaction. Use: write, build, digest/count, commit; abort at any time. */
export interface UnitWriting {
  /**
   * Consumes the stream with back-pressure; resolves when the server has taken all rows. `rows`: null where the target
   * cannot count them in this stream. `kept`: how many of them will
   * be visible, where the target leaves some out (`TablePlan.filteredOnTarget`); absent: all of them.
   */
  write(rows: RowStream): Promise<{ readonly rows: number | null; readonly kept?: number }>;
  /** Keys, indexes and constraints of the fresh table. Nothing to do for most strategies. */
  build(): Promise<void>;
  /** Rows there now, by a scan, before they become visible; null where the target cannot count. */
  count(): Promise<number | null>;
  /** Digest of exactly the rows written, before they become visible; null where the target cannot read rows. */
  digest(): Promise<Digest | null>;
  /**
   * Makes the rows visible together with the ledger row. A blocked swap is retried inside (short lock waits,
   * without loading again) until the signal aborts; then `target.swapBlocked`.
   */
  commit(receipt: UnitReceipt, hooks: CommitHooks): Promise<void>;
  /** What an earlier load holds of this unit, if the target could refer to it instead of taking the rows again. */
  readonly earlier?: EarlierLoad | null;
  /** Instead of `write` … `commit`: refers to `earlier`, which the source has found unchanged under `receipt.mark`. */
  refer?(receipt: Pick<UnitReceipt, 'mark' | 'content'>, hooks: CommitHooks): Promise<LoadedUnit>;
  /**
   * Instead of `write` … `commit`: if exactly these rows are there already, by digest, only the ledger row is written
   * (rows counted, no bytes). Answers whether it was so.
   */
  keep?(receipt: UnitReceipt, hooks: CommitHooks): Promise<boolean>;
  /** Rolls back, leaves nothing behind. Idempotent, never throws. */
  abort(): Promise<void>;
}

export interface CommitHooks {
  /** Called when everything is done but the commit. Fault point `swap.beforeCommit`. */
  beforeCommit(): Promise<void>;
  /** Called when a swap waits for readers; `waitedMs` since the first try. */
  onBlocked(waitedMs: number): void;
}
