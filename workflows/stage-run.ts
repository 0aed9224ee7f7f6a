import type {
  BackupRestoreCarried,
  BackupRestoreInput,
  FinishedStage,
  StageInput,
} from '../definitions/contracts/backup-restore.ts';
import type { BackupStage, ResolvedBackupRestoreJob } from '../definitions/contracts/job.ts';
import type { SkippedChunk, StageStatus } from '../definitions/contracts/status.ts';
import { storeOfStage } from '../planning/stages.ts';
import { callsOf } from './backup-stages.ts';
import type { JobRun, Place } from './job-run.ts';

/** How long work may lie at a site before it is said that nobody takes it. */
const takenWithin = '30 seconds';
/** Named in the result; all of them are in the ledgers. */
const namedSkips = 100;

/** Which stage a job is in, and what became of those before it. */
export class StageRun {
  readonly definition: ResolvedBackupRestoreJob;
  private readonly job: JobRun;
  private readonly queues: Readonly<Record<string, string>>;
  private stage: number;
  private finished: readonly StageStatus[];
  private verified: boolean;
  /** What the stages before have made or moved; null: this stage chooses, also when it ends. */
  private given: string | null;
  /** What the stage under way works on, or the last one did. */
  backup: string | null;
  watermark: string | null;
  skipped: readonly SkippedChunk[];

  constructor(job: JobRun, { job: definition, carried, queues }: BackupRestoreInput) {
    this.job = job;
    this.definition = definition;
    this.queues = queues ?? {};
    this.stage = carried?.stage ?? 0;
    this.finished = carried?.finished ?? [];
    this.given = carried?.given ?? null;
    this.backup = carried?.backup ?? null;
    this.watermark = carried?.watermark ?? null;
    this.skipped = carried?.skipped ?? [];
    this.verified = carried?.verified ?? false;
    this.settle();
    job.stageStatus = () => ({
      stages: this.statuses,
      ...(this.current === null ? {} : { stage: this.current }),
    });
  }

  /** Null when all are over. */
  get current(): BackupStage | null {
    return this.definition.stages[this.stage] ?? null;
  }

  get isFirst(): boolean {
    return this.stage === 0;
  }

  /** The stage has ended before in this run, with another backup. */
  get repeats(): boolean {
    return this.finished.some(({ stage }) => stage === this.current);
  }

  get input(): StageInput {
    const { definition, job, given, current } = this;
    const { run, scheduledTime } = job;
    const verified = current === 'restore' && given !== null && this.verified;
    return { job: definition, run, scheduledTime, backup: given, verified };
  }

  /** The stage works on this backup from now on. */
  choose(backup: string): void {
    this.backup = backup;
  }

  /** The stage is over: the next one begins, or the same again with the next backup that waits. */
  complete(ended: FinishedStage): void {
    const { totals, skipped, warnings, more, watermark, backup } = ended;
    const { job } = this;
    job.totals = totals;
    job.warnings = [...job.warnings, ...warnings];
    this.backup = backup;
    this.watermark ??= watermark;
    this.skipped = [...this.skipped, ...skipped].slice(0, namedSkips);
    const { current } = this;
    if (current === null) return;
    this.finished = [...this.finished, this.statusOf(current, 'done')];
    this.verified = ended.verified === true;
    // A transfer that chose may have moved several; which of them the target lacks, the restore finds out.
    const chosenByTransfer = current === 'transfer' && this.given === null;
    if (!more) {
      this.given = chosenByTransfer ? null : backup;
      this.stage += 1;
    }
    if (this.current === null) return;
    job.beginStage(callsOf(this.current), {});
    this.settle();
  }

  /** Every stage: those that are over, the one under way, those to come. */
  get statuses(): readonly StageStatus[] {
    const { current, definition, finished, stage } = this;
    if (current === null) return finished;
    const waiting = definition.stages.slice(stage + 1).map((later): StageStatus => ({
      ...{ stage: later, state: 'waiting', backup: null, rows: 0, bytes: 0 },
      chunks: { total: 0, done: 0, skipped: 0, inFlight: 0 },
    }));
    return [...finished, this.statusOf(current, 'running'), ...waiting];
  }

  /** Of the stage that ended last. */
  get last(): StageStatus {
    return this.finished.at(-1) ?? this.statusOf(this.definition.stages[0] ?? 'backup', 'running');
  }

  placeOf(stage: BackupStage): Place {
    const taskQueue = this.queues[storeOfStage(this.definition, stage)];
    return taskQueue === undefined ? {} : { taskQueue, scheduleToStartTimeout: takenWithin };
  }

  get carried(): BackupRestoreCarried {
    const { stage, finished, given, backup, watermark, skipped, verified } = this;
    return { ...this.job.carried, stage, finished, given, backup, watermark, skipped, verified };
  }

  private settle(): void {
    const { current, job, definition } = this;
    if (current === null) return;
    job.calls = callsOf(current);
    job.place = this.placeOf(current);
    job.onlyChanged = current === 'restore' && definition.restore?.only === 'changed';
  }

  private statusOf(stage: BackupStage, state: StageStatus['state']): StageStatus {
    const { totals, plan, dispatch } = this.job;
    const { unitsDone, unitsSkipped, rowsWritten, bytes } = totals;
    const inFlight = dispatch.inFlightBatches.reduce((units, { batch }) => units + batch.units, 0);
    return {
      ...{ stage, state, backup: this.backup, rows: rowsWritten, bytes },
      chunks: { total: plan?.units ?? 0, done: unitsDone, skipped: unitsSkipped, inFlight },
    };
  }
}
