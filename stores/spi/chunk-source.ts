import type { VerifyMode } from '../../definitions/contracts/job.ts';
import type { ContentMark, Digest, EarlierLoad, RowFormat, RowStream, SnapshotMark } from './rows.ts';
import type { LeafDefinition, TableDefinition, TableName } from './tables.ts';

/** A resolved window on one column; bounds are literals of the column's type. Half-open `[from, to)`. */
export interface WindowFilter {
  readonly column: string;
  readonly from: string | null;
  readonly to: string | null;
}

/** What is the same for every unit of a table in one load. Stored once with the plan. */
export interface TablePlan {
  /** Position in the load, from 1. */
  readonly ordinal: number;
  readonly source: TableName;
  readonly target: TableName;
  /** Columns copied, in order; empty for a table without columns. Never generated ones. */
  readonly columns: readonly string[];
  /** Key columns for `upsert` and `difference`; null when the table has none. */
  readonly key: readonly string[] | null;
  readonly format: RowFormat;
  /** Columns whose type differs on the target: digests compare their text. */
  readonly retyped: readonly string[];
  readonly where: string | null;
  readonly window: WindowFilter | null;
  readonly strategy: LoadStrategy;
  /**
   * The source cannot filter (a backup): every row of a unit arrives and is verified, and only those that meet `window`
   * and `where` go from staging into the target. Only with staged strategies.
   */
  readonly filteredOnTarget?: boolean;
}

/**
 * How a unit reaches the target; chosen by planning/load-strategy.ts, one transaction each (slices: see below).
 * - `swap`: build a fresh table, then exchange it with the old leaf. Readers see the old rows until commit.
 * - `in-place`: TRUNCATE and fill the same table. Readers wait. For small leaves and what hangs on a table.
 * - `difference`: stage, then delete, update and insert only what differs. For referenced or published leaves.
 * - `delete-insert`: stage, delete the rows of this unit's window/filter/range, insert.
 * - `append`: stage, then insert.
 * - `upsert`: stage, then merge on the key.
 * - `object`: the target is an artifact; each unit becomes one object.
 */
export type LoadStrategy =
  'swap' | 'in-place' | 'difference' | 'delete-insert' | 'append' | 'upsert' | 'object';

/** A key range of a chunk: `from` inclusive, `to` exclusive, compared as rows in the server's order; null = open. */
export interface KeyRange {
  readonly columns: readonly string[];
  readonly from: readonly string[] | null;
  readonly to: readonly string[] | null;
}

/** One unit of work. Holds key values, so it stays in the target's plan table and never enters Temporal. */
export interface LoadUnit {
  /** From 1, in the order of the plan. */
  readonly ordinal: number;
  /** Ordinal of the first unit of the same chunk. */
  readonly firstOfChunk: number;
  readonly kind: 'whole' | 'slice' | 'finish';
  /** Leaf on the source, as `schema.name`: the name of the chunk everywhere. */
  readonly chunk: string;
  /** 0 for whole and finish, 1… for slices. */
  readonly slice: number;
  readonly table: number;
  readonly sourceLeaf: TableName;
  /** The leaf it goes to; the root when rows must be routed. */
  readonly targetLeaf: TableName;
  readonly range: KeyRange | null;
  /** Condition that every row of the chunk meets, when it is routed into a target laid out differently; else null. */
  readonly bound: string | null;
  /** Estimate, for batches and progress. */
  readonly bytes: number;
}

/** A cut of one chunk before it has ordinals. */
export interface ChunkCut {
  readonly leaf: LeafDefinition;
  /** One entry with null range = the whole chunk. */
  readonly ranges: readonly (KeyRange | null)[];
  /** The partition's own constraint as a condition without names of tables; null for plain tables and hash bounds. */
  readonly bound?: string | null;
  readonly bytes: number;
}

export interface OpenReading {
  readonly plan: TablePlan;
  readonly unit: LoadUnit;
  readonly verify: VerifyMode;
  /** Whether the reader may hand over framed bytes. */
  readonly framed: boolean;
  readonly job: string;
  /** Exported snapshot to read under (`SnapshotHolder`); absent: one of its own. Throws `source.snapshotLost`. */
  readonly snapshot?: string;
  /**
   * Whether `content` and `unchangedSince` will be asked. Absent: the reader may begin with the rows at once, and has
   * neither of the two.
   */
  readonly remembered?: boolean;
  readonly signal: AbortSignal;
}

/** Capability: reads units. Never holds a snapshot longer than one unit. */
export interface ChunkSource {
  /**
   * Cuts every chunk of the table whose name matches `chunks` (LIKE) and, where a window is given, whose bound can
   * hold such rows. A chunk with more than `chunkBytes` is cut into key ranges if the table has a key, else stays whole.
   * Ranges of one chunk are in key order, cover it without gap or overlap, and are about equal in bytes.
   */
  cut(table: TableDefinition, options: CutOptions): AsyncIterable<ChunkCut>;
  /**
   * Whether the ranges of an earlier cut still are in key order and can be read again: the key's type or collation may
   * have changed since. Absent: nobody knows.
   */
  areInOrder?(leaf: TableName, ranges: readonly (KeyRange | null)[]): Promise<boolean>;
  /** Locks the leaf against rewrites, takes a snapshot, counts nothing yet. Throws `source.chunkChanged`. */
  open(request: OpenReading): Promise<UnitReading>;
  /**
   * What is known beforehand of all slices of the chunk that a slice belongs to, in their order; null: nothing.
   * For `ChunkTarget.keepChunk`.
   */
  announcedSlices?(plan: TablePlan, unit: LoadUnit): Promise<readonly AnnouncedSlice[] | null>;
  /**
   * Number and digest of all rows of these leaves together, at an instant that another session holds. Digests of stores of
   * one kind are comparable. Absent: nobody can tell.
   */
  contents?(request: ReadContents): Promise<Contents>;
  /** Ends sessions that an earlier, dead attempt of this job left behind. Returns how many. */
  endSessions(job: string): Promise<number>;
}

export interface ReadContents {
  readonly job: string;
  readonly leaves: readonly TableName[];
  /** What of them: `columns`, and `retyped` by their text. */
  readonly plan: Pick<TablePlan, 'columns' | 'retyped'>;
  /** Exported. Throws `source.snapshotLost`. */
  readonly snapshot: string;
  readonly signal: AbortSignal;
}

export interface Contents {
  readonly rows: number;
  readonly digest: Digest;
}

export interface CutOptions {
  readonly chunks: string;
  readonly chunkBytes: number;
  readonly window: WindowFilter | null;
  readonly where: string | null;
  /** False: `ChunkCut.bound` is not asked for, which costs time under many partitions. Default true. */
  readonly bounds?: boolean;
}

/** What a backup knows of one slice before it is read. */
export interface AnnouncedSlice {
  readonly slice: number;
  readonly rows: number;
  readonly digest: Digest | null;
  readonly mark: SnapshotMark;
}

/** One unit being read under one snapshot. Use: rows, then result, then close; close alone gives up. */
export interface UnitReading {
  readonly mark: SnapshotMark;
  /** Call once. */
  rows(): RowStream;
  /** After the stream ended: rows and payload bytes that left the source (from COPY's own tag). */
  copied(): Promise<{ readonly rows: number; readonly bytes: number }>;
  /** Digest of exactly the copied rows, under the same snapshot; null of a backup that was made without. */
  digest(): Promise<Digest | null>;
  /** What the source says beforehand of the rows to come (a backup knows); null where only reading tells. */
  readonly announced?: {
    readonly rows: number;
    readonly bytes: number;
    readonly digest: Digest | null;
  } | null;
  /** Says which rows these are, for a later `unchangedSince`; null where the store cannot tell. */
  content?(): Promise<ContentMark | null>;
  /**
   * Whether exactly the rows of an earlier load are visible under this snapshot, proven without reading values;
   * false when in doubt. Before `rows()`.
   */
  unchangedSince?(earlier: EarlierLoad): Promise<boolean>;
  /** Ends transaction and snapshot; cancels on the server what still runs. Idempotent, never throws. */
  close(): Promise<void>;
}

/** Capability: one snapshot for many readings. */
export interface SnapshotHolder {
  /** Opens a session that exports a snapshot and holds it until `close`, which is idempotent and never throws. */
  hold(job: string, signal: AbortSignal): Promise<HeldSnapshot>;
}

export interface HeldSnapshot {
  readonly id: string;
  readonly mark: SnapshotMark;
  /** Resolves with the reason when the session ends by itself; never rejects. */
  readonly lost: Promise<string>;
  close(): Promise<void>;
}
