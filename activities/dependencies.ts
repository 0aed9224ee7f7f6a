import type { StoreProvider } from '../stores/spi/store.ts';

/** What activities need from the process; given by worker/create-worker.ts, or by a test. */
export interface ActivityDependencies {
  readonly stores: StoreProvider;
  /** Structured log; bindings carry job and chunk, never rows. */
  readonly log: ActivityLog;
  readonly metrics: ActivityMetrics;
  /** Throws or ends the process at a named point when a test asked for it; otherwise does nothing. */
  readonly fault: FaultPoints;
  /** Absent: the process looks after its memory as it does without us. */
  readonly memory?: PassingMemory;
}

/** What the process is told of rows on their way, so that it frees their memory in time. */
export interface PassingMemory {
  passed(bytes: number): void;
  /** Changes of a log are held as objects from now on, until the answer is called. */
  holdsChanges(): () => void;
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
  /** A batch of a log was committed on the target. */
  batchApplied(link: MeteredLink, batch: MeteredBatch): void;
  batchFailed(link: MeteredLink, code: string): void;
  /** Called now and then while a link is followed or watched, with what is true at the moment; null: not known. */
  linkState(link: MeteredLink, state: MeteredLinkState): void;
}

/** Labels of what is measured of a link. */
export interface MeteredLink {
  readonly job: string;
  /** Store of the target. */
  readonly target: string;
}

export interface MeteredBatch {
  /** Of the source. */
  readonly transactions: number;
  /** That became rows on the target; those that wait or were left out are not among them. */
  readonly changes: number;
  readonly bytes: number;
  /** From its first change to its commit on the target. */
  readonly seconds: number;
  /** Changes by table at the source, of what `changes` counts. Absent: not counted by table. */
  readonly tables?: ReadonlyMap<string, number>;
}

export interface MeteredLinkState {
  readonly lagMs: number | null;
  readonly lagBytes: number | null;
  readonly retainedBytes: number | null;
  readonly spooledChanges: number;
  /** Since the link was made. */
  readonly deadTransactions?: number;
  readonly conflicts?: number;
}

/** Points of kind `copy`, which all kinds pass, then those of `backup-restore` and of `duplication`. */
export type FaultPoint =
  | 'load.mid'
  | 'load.copied'
  | 'swap.beforeCommit'
  | 'swap.afterCommit'
  | 'backup.mid'
  | 'backup.beforeManifest'
  | 'cut.beforeNote'
  | 'transfer.mid'
  | 'batch.beforeCommit'
  | 'batch.afterCommit'
  | 'confirm.before';

export interface FaultPoints {
  reach(point: FaultPoint, signal?: AbortSignal): Promise<void>;
}
