/**
 * The resolved job: what a workflow receives. Every default is filled in, durations are milliseconds,
 * sizes bytes. Plain JSON; a field may be added as optional, never removed or changed in meaning, because
 * running jobs keep the definition they were started with.
 */

export type JobKind = 'copy' | 'backup-restore' | 'duplication';
export const jobKinds: readonly JobKind[] = ['copy', 'backup-restore', 'duplication'];

/** How rows already on the target are treated. See design 3.2. */
export type LoadMode = 'replace' | 'append' | 'upsert';
export type VerifyMode = 'none' | 'count' | 'digest';
/** See design 5: what happens to a chunk that keeps failing. */
export type FailMode = 'slow' | 'skip' | 'stop';
/** `skip`: a run that would overlap is not started; `buffer`: it waits; `cancel`: the older one is cancelled. */
export type OverlapRule = 'skip' | 'buffer' | 'cancel';

/**
 * One end of a half-open window `[from, to)`.
 * `relative` counts from the scheduled time (the time the run was due, not the time it started), in calendar
 * days of the window's time zone plus exact milliseconds. `today` is the midnight that began the scheduled day.
 * `watermark` is where the last verified run ended. `absolute` is ISO 8601; without offset in the window's zone.
 */
export type WindowBound =
  | { readonly kind: 'relative'; readonly days: number; readonly ms: number }
  | { readonly kind: 'today'; readonly days: number }
  | { readonly kind: 'watermark'; readonly initial?: string }
  | { readonly kind: 'absolute'; readonly at: string };

export interface WindowRule {
  readonly column: string;
  /** Absent: unbounded below. */
  readonly from?: WindowBound;
  /** Absent: unbounded above. */
  readonly to?: WindowBound;
  /** IANA name, always explicit after resolving. */
  readonly timezone: string;
}

/** One entry of `source.tables`, with all defaults applied. Names are unquoted, case-sensitive. */
export interface TableSelection {
  /** `schema.table`; either part may hold `*` (any characters). A dot inside a name is written `"a.b".t`. */
  readonly pattern: string;
  readonly columns?: readonly string[];
  /** SQL condition of the source store, applied to every row read. */
  readonly where?: string;
  readonly window?: WindowRule;
  /** Only chunks whose leaf name matches: SQL LIKE pattern (`%`, `_`). */
  readonly chunks: string;
  /** A chunk with more bytes is cut into key-range slices of about this size. */
  readonly chunkBytes: number;
  /** Where it goes; absent means the source's own name. */
  readonly targetSchema?: string;
  readonly targetTable?: string;
}

export interface ResolvedSource {
  readonly store: string;
  readonly tables: readonly TableSelection[];
}

export interface ResolvedTarget {
  readonly store: string;
  readonly mode: LoadMode;
  readonly createTables: boolean;
}

export interface ResolvedRun {
  /** Chunks in flight over all workers. */
  readonly parallel: number;
  /** Bound on the buffers of one worker for this job. */
  readonly memoryBytes: number;
  /** Bytes per second over all chunks in flight; absent means unlimited. */
  readonly throttleBytesPerSecond?: number;
  readonly verify: VerifyMode;
  /** ANALYZE the target tables at the end. */
  readonly analyze: boolean;
}

export interface ResolvedFailurePolicy {
  readonly mode: FailMode;
  /** Attempts per chunk before `skip` or `stop` acts. */
  readonly attempts: number;
  readonly backoffInitialMs: number;
  readonly backoffMaxMs: number;
}

export interface CalendarRule {
  readonly second?: string;
  readonly minute?: string;
  readonly hour?: string;
  readonly dayOfMonth?: string;
  readonly month?: string;
  readonly year?: string;
  readonly dayOfWeek?: string;
}

export interface ResolvedSchedule {
  /** Exactly one of `cron` and `calendar`. */
  readonly cron?: string;
  readonly calendar?: CalendarRule;
  readonly timezone: string;
  /** ISO 8601 instants. */
  readonly startAt?: string;
  readonly endAt?: string;
  readonly overlap: OverlapRule;
  /** A run missed by more than this is not caught up. */
  readonly catchupMs: number;
  readonly paused: boolean;
}

interface ResolvedJobHeader {
  readonly name: string;
  readonly description?: string;
  readonly onFailure: ResolvedFailurePolicy;
  readonly schedule?: ResolvedSchedule;
}

export interface ResolvedCopyJob extends ResolvedJobHeader {
  readonly kind: 'copy';
  /** The target is one instant of the source when it is over: the log is followed from load to a cut. Absent: no. */
  readonly consistent?: true;
  readonly source: ResolvedSource;
  readonly target: ResolvedTarget;
  readonly run: ResolvedRun;
}

/** In this order; a job has any contiguous part of them. */
export type BackupStage = 'backup' | 'transfer' | 'restore';
export const backupStages: readonly BackupStage[] = ['backup', 'transfer', 'restore'];

/** Where backups of one job lie: a store with files, and a path of its own below the store's root. */
export interface BackupPlace {
  readonly store: string;
  /** Without `/` at either end; never empty. */
  readonly path: string;
}

/**
 * `chunk`: each chunk at its own instant; `snapshot`: all of them at one, held meanwhile; `cut`: each at its own, and what the
 * log says of them until one instant beside it.
 */
export type Consistency = 'chunk' | 'snapshot' | 'cut';

export type BackupFormat = 'binary' | 'csv';
export type Compression = 'zstd' | 'gzip' | 'none';

export interface ResolvedBackup extends BackupPlace {
  readonly format: BackupFormat;
  readonly compression: Compression;
  /** Absent: the codec's default. */
  readonly compressionLevel?: number;
  /** With the key of the store (`encryption.key`). */
  readonly encrypt: boolean;
  readonly consistency: Consistency;
  /** Longest time that the one snapshot of `snapshot` is held. */
  readonly snapshotLimitMs: number;
  /** With `cut`: bytes of log that the source may keep for the backup. */
  readonly maxLogBytes?: number;
  /** Refer to unchanged chunks of the latest full backup instead of writing them again. */
  readonly incremental: boolean;
}

export interface ResolvedRestore {
  readonly store: string;
  readonly mode: LoadMode;
  readonly createTables: boolean;
  /** `changed`: a chunk whose digest is there already is not written again. */
  readonly only: 'changed' | 'all';
  /** An id, or `latest`: see StageInput.backup. */
  readonly backup: string;
  /** Before anything on the target changes: hash every object, or only look whether each is there with its size. */
  readonly check: 'objects' | 'sizes';
  /** Which tables of the backup, and what of them; patterns are matched with the names at the source. */
  readonly tables: readonly TableSelection[];
}

export interface ResolvedBackupRestoreJob extends ResolvedJobHeader {
  readonly kind: 'backup-restore';
  readonly stages: readonly BackupStage[];
  /** Present when `stages` has `backup`. */
  readonly source?: ResolvedSource;
  readonly backup: ResolvedBackup;
  readonly transfer?: BackupPlace;
  /** Present when `stages` has `restore`. It reads from `transfer`, or where there is none from `backup`. */
  readonly restore?: ResolvedRestore;
  /** A backup is kept while it is among the last `last` or younger than `days`; absent: all are. */
  readonly keep?: { readonly last?: number; readonly days?: number };
  readonly run: ResolvedRun;
}

/** One target of a duplication; each has a link of its own and holds nobody else up. */
export interface ResolvedLinkTarget {
  readonly store: string;
  /** Schema there for all tables that name none of their own; absent: that of the source. */
  readonly schema?: string;
}

export interface ResolvedDuplicationLoad {
  /** False: the tables are there already and equal; the log begins now (Pegasus' incremental duplication). */
  readonly checkpoint: boolean;
  readonly createTables: boolean;
  readonly parallel: number;
  readonly memoryBytes: number;
  readonly throttleBytesPerSecond?: number;
  readonly verify: VerifyMode;
}

export interface ResolvedLog {
  /** A batch ends with whichever comes first, at a commit. */
  readonly batchChanges: number;
  readonly batchBytes: number;
  readonly batchEveryMs: number;
  /** Sessions over which the keys of a batch are spread; 1 keeps every commit boundary of the source. */
  readonly lanes: number;
  /** A transaction later than this counts as lagging. */
  readonly laggingAfterMs: number;
  /** `sync`: a commit on the target is on its disk before the source may forget it. `async`: faster, and replayed after a crash. */
  readonly durability: 'sync' | 'async';
  /** A table without a key or full replica identity: refused, or only its inserts are followed. */
  readonly keyless: 'refuse' | 'insertsOnly';
}

export interface ResolvedRetention {
  /** Log that the source keeps for a link, and what waits in the target's spool. */
  readonly maxLogBytes: number;
  /** `stop`: the slot is dropped, the link stops, and resuming loads again, chunk by chunk. `alarm`: only said. */
  readonly onExceed: 'stop' | 'alarm';
}

export interface ResolvedDuplicationJob extends ResolvedJobHeader {
  readonly kind: 'duplication';
  /** Selections without `where` and `window`. */
  readonly source: ResolvedSource;
  readonly targets: readonly ResolvedLinkTarget[];
  readonly load: ResolvedDuplicationLoad;
  readonly log: ResolvedLog;
  readonly retention: ResolvedRetention;
}

export type ResolvedJob = ResolvedCopyJob | ResolvedBackupRestoreJob | ResolvedDuplicationJob;
