import type {
  CopyCarried,
  CopyTotals,
  FinishedCopy,
  LoadRef,
  LoadUnitsInput,
  LoadUnitsResult,
  PlanReport,
  PreparedLoad,
} from './copy.ts';
import type { BackupStage, ResolvedBackupRestoreJob, VerifyMode } from './job.ts';
import type { SkippedChunk, StageStatus } from './status.ts';

/**
 * What crosses Temporal for kind `backup-restore`. Its stages run one after another, each with a plan, totals and a task
 * queue of its own; a backup is a load into an artifact, a restore one out of it, so they share the messages of `copy`.
 */

/** Argument of the workflow `backupRestore`. */
export interface BackupRestoreInput {
  readonly job: ResolvedBackupRestoreJob;
  /** SHA-256 of the resolved job, hex. */
  readonly definitionHash: string;
  readonly intent: 'run' | 'retry' | 'remove';
  /** When the run was due, ISO 8601; absent means the workflow's start time. */
  readonly scheduledTime?: string;
  /** Task queue of the workers near a store, by its name; a store that is not named is reached by every worker. */
  readonly queues?: Readonly<Record<string, string>>;
  /** Set by continue-as-new only. */
  readonly carried?: BackupRestoreCarried;
}

/** State that survives continue-as-new: that of the stage under way, and what became of those before. */
export interface BackupRestoreCarried extends CopyCarried {
  /** Index into `job.stages`. */
  readonly stage: number;
  /** One entry a stage that is over; a restore of several backups has one for each. */
  readonly finished: readonly StageStatus[];
  /** The backup that this run made or chose; null before. */
  readonly backup: string | null;
  /** What the stage under way was given by those before; null: it chooses. */
  readonly given: string | null;
  /** Where the watermark goes at the end; see FinishedStage. */
  readonly watermark: string | null;
  /** Of the stages that are over. */
  readonly skipped: readonly SkippedChunk[];
  /** A transfer of this run has hashed every object where the restore reads it. */
  readonly verified: boolean;
}

/** Result of the workflow. `chunks`, `rows` and `bytes` are those of the last stage, `skipped` is over all of them. */
export interface BackupRestoreResult {
  readonly name: string;
  readonly kind: 'backup-restore';
  readonly state: 'done' | 'removed';
  readonly chunks: { readonly total: number; readonly done: number; readonly skipped: number };
  readonly rows: number;
  readonly bytes: number;
  readonly ms: number;
  readonly skipped: readonly SkippedChunk[];
  readonly warnings: readonly string[];
  readonly stages: readonly StageStatus[];
  readonly backup: string | null;
}

/** What every activity of a stage is told. */
export interface StageInput {
  readonly job: ResolvedBackupRestoreJob;
  /** First run id of the workflow chain. */
  readonly run: string;
  readonly scheduledTime: string;
  /**
   * The backup that the stages before have made or moved; null: this stage chooses. A restore that chooses takes the
   * latest full backup, or the oldest window backup that the target does not hold yet.
   */
  readonly backup: string | null;
  /** Whether the stage before, in this very run, has hashed every object where this stage will read it. */
  readonly verified: boolean;
}

export interface PreparedStage extends PreparedLoad {
  readonly backup: string;
}

export interface FinishStageInput extends StageInput {
  readonly ref: LoadRef;
  readonly totals: CopyTotals;
}

export interface CutBackupInput extends StageInput {
  readonly ref: LoadRef;
  readonly verify: VerifyMode;
}

export interface CutBackup {
  /** Units with changes beside them, and units that were read again whole. */
  readonly changed: number;
  readonly again: number;
}

export interface FinishedStage extends FinishedCopy {
  readonly backup: string;
  /** Of a stage that chose its backup: another one waits to be moved or restored. */
  readonly more: boolean;
  /**
   * A backup only: where the vault's watermark goes once the last stage is verified and nothing was skipped; null:
   * nowhere. The workflow calls `moveWatermark` then, at the site of the vault.
   */
  readonly watermark: string | null;
  /**
   * A transfer only: this run has hashed every object at the far end. What an earlier run brought may have gone bad
   * since; absent: no.
   */
  readonly verified?: boolean;
}

export interface MoveWatermarkInput extends StageInput {
  readonly to: string;
}

/** Heartbeat details of `prepareRestore` while it hashes objects: where a later attempt goes on. */
export interface CheckHeartbeat {
  readonly step: 'checking';
  /** Whose objects they are: a later attempt may choose another. */
  readonly backup: string;
  /** Ordinal of the last object known to be whole. */
  readonly checked: number;
  readonly bytes: number;
}

/** One line a stage for `plan`. */
export interface BackupRestorePlan extends PlanReport {
  readonly stages: readonly {
    readonly stage: BackupStage;
    readonly from: string;
    readonly to: string;
    /** Null where it is not known before the stage before has run. */
    readonly chunks: number | null;
    readonly bytes: number | null;
  }[];
}

/**
 * The activities of kind `backup-restore`; batches of backup and restore go through those of `copy`
 * (`listBatches`, `loadUnits`, `finishChunk`, `skipUnit`), whose `LoadRef` names the artifact.
 * Every one is idempotent. Failures carry `type` = error code.
 */
export interface BackupRestoreActivities {
  /** Runs all checks of the stages that can be checked now; writes nothing. */
  planBackupRestore(input: StageInput): Promise<BackupRestorePlan>;
  /** Checks, resolves windows, writes plan and table definitions into the artifact. Repeated: the plan already there. */
  prepareBackup(input: StageInput): Promise<PreparedStage>;
  /** Holds plan against receipts, publishes the manifest, prunes by `keep`. */
  finishBackup(input: FinishStageInput): Promise<FinishedStage>;
  /** Moves the watermark, which is kept with the vault, forward; never back. */
  moveWatermark(input: MoveWatermarkInput): Promise<void>;
  /** Keeps one exported snapshot open for the whole backup; ends when cancelled, or fails with `source.snapshotLost`. */
  holdSnapshot(input: StageInput): Promise<void>;
  /**
   * `consistency: cut`: makes the source keep its log from before the first unit on, says so in the vault, and watches how much it
   * is. Ends when cancelled, or fails with what makes the log useless.
   */
  keepLog(input: StageInput): Promise<void>;
  /** Brings every unit to one instant: what the log says was touched since it was read is read again there. */
  cutBackup(input: CutBackupInput): Promise<CutBackup>;
  /** The source keeps no log for the backup any more. A side that is not there any more is an error. */
  dropLog(input: StageInput): Promise<void>;
  /** Plans one unit an object of the backup. */
  prepareTransfer(input: StageInput): Promise<PreparedStage>;
  /** Brings objects over, one after another, and verifies each by hash at the far end. */
  transferObjects(input: LoadUnitsInput): Promise<LoadUnitsResult>;
  /** Publishes the manifest at the far end, prunes there too. */
  finishTransfer(input: FinishStageInput): Promise<FinishedStage>;
  /** Chooses the backup, verifies it whole unless `verified`, then prepares as a copy does. */
  prepareRestore(input: StageInput): Promise<PreparedStage>;
  /** As a copy finishes. */
  finishRestore(input: FinishStageInput): Promise<FinishedStage>;
  /** The latest load of the given stage, for `retry`; null when nothing is known of one. */
  latestStage(input: StageInput & { readonly stage: BackupStage }): Promise<PreparedStage | null>;
  /**
   * `remove`, one stage's side at a time: what is under way (plans, receipts, partial objects, staging, sessions).
   * Published backups stay: they are the user's.
   */
  removeStage(input: StageInput & { readonly stage: BackupStage }): Promise<void>;
}
