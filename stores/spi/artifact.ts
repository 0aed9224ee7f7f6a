import type { Readable } from 'node:stream';
import type { LoadRef } from '../../definitions/contracts/copy.ts';
import type { Compression, Consistency } from '../../definitions/contracts/job.ts';
import type { LogStart } from './log.ts';
import type { RowStream, SnapshotMark } from './rows.ts';
import type { TableDefinition, TableScript } from './tables.ts';
import type { LoadUnit, TablePlan, WindowFilter } from './chunk-source.ts';
import type { FileKey } from './files.ts';

/**
 * Backups as objects in a store of files. A backup exists once its manifest does, which is written last and at once;
 * everything it names is then there. The format: docs/artifact-format.md.
 */

export interface BackupSummary {
  readonly backup: string;
  readonly job: string;
  /** `full`: all rows of its tables; `window`: those of a window in time. */
  readonly scope: 'full' | 'window';
  /** ISO 8601. */
  readonly createdAt: string;
  /** When the run was due, ISO 8601. */
  readonly scheduledTime: string;
  readonly tables: readonly string[];
  readonly chunks: number;
  readonly rows: number;
  /** As rows left the source. */
  readonly bytes: number;
  /** Objects written for this backup, and those of earlier ones that it refers to. */
  readonly storedBytes: number;
  readonly referredBytes: number;
  readonly basedOn: string | null;
  readonly compression: Compression;
  /** Id of the key, null when not encrypted. */
  readonly keyId: string | null;
  readonly consistency: Consistency;
  /** Window of each table that has one. */
  readonly windows: readonly { readonly table: string; readonly window: WindowFilter }[];
  /** Units that were set aside when it was made: their chunks are not in it. Absent: none. */
  readonly skippedUnits?: number;
}

/** One object that a backup needs, in the order of their ordinals (from 1). Data first, then pages and schema. */
export interface StoredObject {
  readonly ordinal: number;
  /** Below the path; safe by `isSafeKey`. */
  readonly key: FileKey;
  readonly bytes: number;
  readonly sha256: string;
  /** Chunk whose rows it holds, for people; null for the backup's own pages. */
  readonly chunk: string | null;
}

/** Capability: what backups there are at a path. */
export interface BackupCatalog {
  /** Newest first. A manifest that cannot be read is an entry of `broken`, never silently left out. */
  list(): Promise<{
    readonly backups: readonly BackupSummary[];
    readonly broken: readonly { readonly backup: string; readonly code: string; readonly message: string }[];
  }>;
  /**
   * The manifest, its seal verified. Throws `artifact.missing` (not published), `artifact.corrupt`,
   * `artifact.newerFormat`, `artifact.wrongKey`, `files.unsafeKey`.
   */
  read(backup: string): Promise<BackupSummary>;
  /**
   * How each table of it was read, in the order of `tables`: columns, format, window, filter, as the plan of the backup
   * had them. Throws as `read`.
   */
  plans(backup: string): Promise<readonly TablePlan[]>;
  /** Objects with ordinals `after + 1 … after + limit`; empty at the end. Each key once, even when chunks share it. */
  objects(backup: string, after: number, limit: number): Promise<readonly StoredObject[]>;
  /**
   * Keeps the newest `last` and whatever is younger than `days`; removes the other manifests, then objects that no
   * kept manifest names, after reading all kept ones whole. Null for both: nothing is removed.
   */
  prune(keep: KeepRule): Promise<{ readonly backups: readonly string[]; readonly objects: number }>;
}

export interface KeepRule {
  readonly last: number | null;
  readonly days: number | null;
  /** ISO 8601. */
  readonly now: string;
}

/** What is known of a backup before its first row. */
export interface BeginBackup {
  readonly ref: LoadRef;
  readonly scope: 'full' | 'window';
  readonly scheduledTime: string;
  readonly compression: Compression;
  readonly compressionLevel: number | null;
  readonly encrypt: boolean;
  readonly consistency: Consistency;
  /** A full backup whose unchanged chunks may be referred to; null: none. */
  readonly basedOn: string | null;
  /** In the order of the plan's tables. */
  readonly tables: readonly BackupTable[];
}

export interface BackupTable {
  readonly definition: TableDefinition;
  /** How to build it under its own name; with its recipe (`scriptToKeep`) it can be restored under others too. */
  readonly script: TableScript;
}

/** Capability: makes one backup at a path. All of it is idempotent. */
export interface BackupWriter {
  /**
   * Claims the path for the job (`artifact.foreign`), and keeps what only the beginning knows. Before the plan is written.
   * Called again before `publish`: the scripts it brings then (sequences have moved on) replace the earlier ones.
   */
  begin(request: BeginBackup): Promise<void>;
  /**
   * Takes one object of another place as it is, and its receipt: nothing is read when it is there with that hash.
   * Hashed again at this end; throws `artifact.corrupt` with the object's name when it arrived otherwise.
   */
  receive(request: ReceiveObject): Promise<void>;
  /**
   * Makes the backup visible: of the receipts of a load, which must be exactly its plan less dead letters, or by taking the
   * manifest of another place after all its objects have arrived. Sweeps what no receipt names. Repeated: the same answer.
   */
  publish(ref: LoadRef, manifest?: Readable): Promise<BackupSummary>;
  /** The manifest's own bytes, for `publish` elsewhere. */
  manifestBytes(backup: string): Promise<Readable>;
  /** Says under which snapshot all units are to be read; null while nobody has said. */
  snapshot(ref: LoadRef): Promise<NotedSnapshot | null>;
  noteSnapshot(ref: LoadRef, snapshot: NotedSnapshot): Promise<void>;
  /** Where the log begins that brings all units to one instant (`consistency: cut`); null while nobody has said. */
  log(ref: LoadRef): Promise<NotedLog | null>;
  noteLog(ref: LoadRef, log: NotedLog): Promise<void>;
  /** Brings the units of a load that is done to one instant; null: an attempt before this one has. */
  cut(ref: LoadRef): Promise<CutWriting | null>;
}

/**
 * What became of units until one instant goes beside their rows, which stay as they are. Nothing of it counts before
 * `commit`; what an attempt wrote that never came there is swept when the backup is published.
 */
export interface CutWriting {
  /** The tables as they were when the backup was begun. */
  readonly tables: readonly BackupTable[];
  /** Rows that have one of the keys go, and these come. Nothing to do for a unit that was set aside. */
  patch(unit: LoadUnit, patch: UnitPatch): Promise<void>;
  /** All of its rows anew. */
  replace(unit: LoadUnit, rows: UnitRows): Promise<void>;
  commit(mark: SnapshotMark): Promise<void>;
}

export interface NotedLog {
  readonly start: LogStart;
  /** A snapshot that was taken before the first unit was read. */
  readonly mark: SnapshotMark;
}

export interface UnitPatch {
  readonly keyColumns: readonly string[];
  /** See `TouchedKeys.keys`. */
  readonly keys: readonly string[];
  readonly rows: RowStream;
  readonly signal: AbortSignal;
  /** After the rows: how many of them came, and what the unit holds at the instant. */
  result(): Promise<{ readonly patched: number; readonly rows: number; readonly digest: string | null }>;
}

export interface UnitRows {
  readonly rows: RowStream;
  readonly signal: AbortSignal;
  result(): Promise<{ readonly rows: number; readonly digest: string | null }>;
}

export interface NotedSnapshot {
  readonly id: string;
  readonly mark: SnapshotMark;
}

export interface ReceiveObject {
  readonly ref: LoadRef;
  readonly object: StoredObject;
  /** Opened only when needed. */
  open(): Promise<Readable>;
  readonly signal: AbortSignal;
}
