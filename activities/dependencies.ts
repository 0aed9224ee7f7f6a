import type { StoreProvider } from '../stores/spi/store.ts';

/** What activities need from the process; given by worker/create-worker.ts, or by a test. */
export interface ActivityDependencies {
  readonly stores: StoreProvider;
  /** Structured log; bindings carry job and chunk, never rows. */
  readonly log: ActivityLog;
  readonly metrics: ActivityMetrics;
  /** Throws or ends the process at a named point when a test asked for it; otherwise does nothing. */
  readonly fault: FaultPoints;
  /** Told of every piece of rows that passes, so that the process can free buffers in time. Absent: it does not. */
  readonly memory?: { passed(bytes: number): void };
}

export interface ActivityLog {
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
}

/** Names and units are in worker/metrics.ts. */
export interface ActivityMetrics {
  rowsCopied(job: string, rows: number): void;
  bytesCopied(job: string, bytes: number): void;
  unitLoaded(job: string, seconds: number): void;
  unitFailed(job: string, code: string): void;
}

/** Points of kind `copy`, which backups and restores pass too, and those of kind `backup-restore`. */
export type FaultPoint =
  | 'load.mid'
  | 'load.copied'
  | 'swap.beforeCommit'
  | 'swap.afterCommit'
  | 'backup.mid'
  | 'backup.beforeManifest'
  | 'transfer.mid';

export interface FaultPoints {
  reach(point: FaultPoint, signal?: AbortSignal): Promise<void>;
}
