import type { ErrorCode } from '../../definitions/errors.ts';
import type { LogChange, LogPosition, LogRelation, LogTransaction } from './log.ts';
import type { TableName } from './tables.ts';

/**
 * The target's end of a link. Its position and what it speaks of are committed together: the target is always at a commit
 * boundary of the source (with one lane), and a batch that arrives twice is known by its position.
 *
 * What cannot be applied yet waits in the *spool*, on the target, in the same transaction as the position: changes of a
 * chunk that is not loaded yet, of a table that is paused or failing, of transactions held back at a cut. So there is one
 * position for the whole link at any time (docs/decisions/0011).
 */

export interface LinkRef {
  readonly job: string;
  /** Store of the target: a job with several has a link to each. */
  readonly target: string;
}

/** What the ledger knows of a link. Plain JSON. */
export interface LinkState {
  readonly ref: LinkRef;
  readonly slot: string;
  readonly publication: string;
  readonly systemId: string;
  readonly timeline: number;
  /** 1, and one more each time that everything is loaded again (a lost slot): loads belong to a generation. */
  readonly generation: number;
  /** Everything that the source committed up to here is in the tables or in the spool. */
  readonly position: LogPosition;
  /** Where the filter was dropped; null: the target is not equal to any one instant yet. */
  readonly consistentAt: LogPosition | null;
  /** ISO 8601. */
  readonly createdAt: string;
  /** Of the newest source transaction applied; milliseconds since 1970, null before the first. */
  readonly appliedCommitAtMs: number | null;
  readonly totals: LinkTotals;
}

export interface LinkTotals {
  readonly transactions: number;
  /** Changes handed over, and what became of them: applied + filtered (in a chunk's snapshot already) + spooled + dead. */
  readonly changes: number;
  readonly applied: number;
  readonly filtered: number;
  readonly deadTransactions: number;
  readonly bytes: number;
  /** Rows that were not as the log says they were (somebody else writes on the target); they are as on the source now. */
  readonly conflicts: number;
  /** Waiting in the spool now. */
  readonly spooledChanges: number;
  readonly spooledBytes: number;
}

/** One leaf of the source and where its changes go. */
export interface AppliedLeaf {
  /** As the log names it; also the name of its chunk (`displayName`). */
  readonly source: TableName;
  /** Root table at the source, for what is said about tables. */
  readonly table: string;
  /** The leaf it goes to; the root where rows must be routed. */
  readonly target: TableName;
  /** Columns that are carried, by name. A column of the log that is not among them is left out. */
  readonly columns: readonly string[];
  /** By which a row is found; null: by all of its columns (identity `row`), or never (only inserts come). */
  readonly key: readonly string[] | null;
  /**
   * Condition in the target's words that every row of this leaf meets and no other row of `target` does: needed to empty it
   * where several leaves go to one table. Absent or null: the table is its own.
   */
  readonly bound?: string | null;
}

/** Why changes wait in the spool. `load`: their chunk is not loaded. */
export type SpoolReason = 'load' | 'paused' | 'failing' | 'cut';

/** A leaf or table that is not simply followed. */
export interface LinkTable {
  readonly table: string;
  readonly state: 'paused' | 'failing' | 'removed';
  readonly code: ErrorCode | null;
  /** No row values. */
  readonly message: string | null;
  /** ISO 8601. */
  readonly since: string;
  readonly attempts: number;
}

/** Consecutive changes of the log with where each goes. Applied in order; a change is in one list only. */
export interface RoutedBatch {
  readonly apply: readonly LogChange[];
  readonly spool: readonly SpooledChange[];
  /** Left out, because the chunk's own snapshot holds them. */
  readonly filtered: number;
  readonly transactions: number;
  readonly bytes: number;
}

export interface SpooledChange {
  readonly change: LogChange;
  readonly reason: SpoolReason;
}

/** How one batch went, for `tasks` and `metrics`; written in its transaction. */
export interface BatchRecord {
  readonly startedAtMs: number;
  /** Time from the commit at the source to the commit here, over the transactions of the batch. */
  readonly lagP50Ms: number;
  readonly lagP99Ms: number;
  readonly lagMaxMs: number;
  /** Transactions that were later than `log.laggingAfter`. */
  readonly lagging: number;
}

export interface NewLink {
  readonly ref: LinkRef;
  readonly slot: string;
  readonly publication: string;
  readonly systemId: string;
  readonly timeline: number;
  readonly position: LogPosition;
}

/** Capability: applies a log, with its state beside the data. */
export interface LogTarget {
  /** Makes the link, or answers the one that is there. */
  create(link: NewLink): Promise<LinkState>;
  /** Everything is loaded again from a new place: next generation, spool and dead letters of the log emptied. */
  restart(link: NewLink): Promise<LinkState>;
  read(ref: LinkRef): Promise<LinkState | null>;
  /** Takes the link for one writer; an older one is ended and its open transaction with it. */
  open(request: OpenLink): Promise<LinkWriter>;
  /** Tables that are not simply followed. */
  tables(ref: LinkRef): Promise<readonly LinkTable[]>;
  setTable(
    ref: LinkRef,
    table: Omit<LinkTable, 'since'> | { readonly table: string; readonly state: 'live' },
  ): Promise<void>;
  /** Transactions that were set aside, oldest first, at most `limit`. */
  deadTransactions(ref: LinkRef, limit: number): Promise<readonly DeadTransaction[]>;
  /** Batches of the last while, newest first. */
  batches(
    ref: LinkRef,
    since: { readonly ms: number | null; readonly limit: number },
  ): Promise<readonly BatchLine[]>;
  /** `remove`: every row about the link. Sessions are ended. */
  forget(ref: LinkRef): Promise<void>;
}

export interface OpenLink {
  readonly ref: LinkRef;
  /** Keys hash over so many sessions inside a batch; 1 keeps every commit boundary. */
  readonly lanes: number;
  /** Whether a commit waits for the target's disk. */
  readonly durable: boolean;
  readonly laggingAfterMs: number;
  readonly signal: AbortSignal;
}

/**
 * The one writer of a link. Use: (apply …)+ then commit, again and again. Nothing is visible before the commit. After an
 * error the open transaction is rolled back, and the same changes may be applied again. Errors: those of rows
 * (`target.constraint`, `log.rowMissing`, …: `details.table` names the target), `target.superseded` when another
 * writer has taken over, `store.*`.
 */
export interface LinkWriter {
  readonly state: LinkState;
  /** Which leaves exist; call before changes of them are applied, and again when there are more. */
  know(leaves: readonly AppliedLeaf[]): Promise<void>;
  /** Into the open transaction, which begins with the first call. A part of a big transaction is a batch of its own. */
  apply(batch: RoutedBatch): Promise<void>;
  /** Moves the position by compare-and-set, with all that was applied since the last commit. */
  commit(to: LogPosition, how: CommitBatch): Promise<LinkState>;
  /** Up to where commits survive a crash of the target: only that may be confirmed to the source. After a commit. */
  durable(): Promise<LogPosition>;
  /** Forgets what was applied since the last commit. */
  rollback(): Promise<void>;
  /**
   * Applies what waits in the spool for these leaves, in the order of the log, and removes it: as many as fit into one
   * transaction of about `limit` changes, which it commits. `admit` decides for each. Answers whether more is waiting.
   */
  drain(
    request: DrainSpool,
  ): Promise<{ readonly applied: number; readonly filtered: number; readonly more: boolean }>;
  /** The filter is dropped from here on: written with the next commit, by compare-and-set from null. */
  markConsistent(at: LogPosition): Promise<LinkState>;
  /** Writes one whole transaction to the dead letters instead of the tables, into the open transaction. */
  setAside(
    changes: readonly LogChange[],
    why: { readonly code: ErrorCode; readonly message: string },
  ): Promise<void>;
  /** Applies a dead transaction after all, as upserts and deletes; conflicts are counted. Removes its letter, and commits. */
  retryDead(
    id: number,
    leafOf: DrainSpool['leafOf'],
  ): Promise<{ readonly changes: number; readonly conflicts: number }>;
  /** Ends the sessions; what is not committed is gone. Idempotent, never throws. */
  close(): Promise<void>;
}

export interface CommitBatch {
  readonly record: BatchRecord | null;
  /** Called when everything is done but the commit. Fault point `batch.beforeCommit`. */
  beforeCommit(): Promise<void>;
}

export interface DrainSpool {
  /** Sources of the leaves (`displayName`). */
  readonly leaves: readonly string[];
  readonly limit: number;
  /** Where changes of a relation go that is found in the spool. */
  readonly leafOf: (relation: LogRelation) => AppliedLeaf;
  /**
   * What of a change is to be applied: nothing (the chunk's snapshot holds it), the change, or parts of it (a change over
   * slices that were read at different instants). Called in order.
   */
  admit(change: LogChange): readonly LogChange[];
}

export interface DeadTransaction {
  readonly id: number;
  readonly transaction: LogTransaction;
  readonly tables: readonly string[];
  readonly changes: number;
  readonly code: ErrorCode;
  readonly message: string;
  /** ISO 8601. */
  readonly setAsideAt: string;
}

/** A task of the log, as DolphinDB calls it: one batch. */
export interface BatchLine extends BatchRecord {
  readonly id: number;
  readonly from: LogPosition;
  readonly to: LogPosition;
  readonly transactions: number;
  readonly changes: number;
  readonly bytes: number;
  readonly finishedAtMs: number;
  readonly state: 'finished' | 'failed' | 'skipped';
  readonly code: ErrorCode | null;
}
