import { ApplicationFailure, cancellationSignal, heartbeat } from '@temporalio/activity';
import type {
  BackupRestoreActivities,
  CutBackup,
  FinishedStage,
  FinishStageInput,
  MoveWatermarkInput,
  PreparedStage,
  StageInput,
} from '../../definitions/contracts/backup-restore.ts';
import type { CopyActivities, LoadRef } from '../../definitions/contracts/copy.ts';
import { type BackupStage, backupStages } from '../../definitions/contracts/job.ts';
import { FakeCopy, type VirtualPlan } from './fake-copy-activities.ts';

export interface FakeBackupOptions {
  /** How many backups wait for a stage that chooses, at least 1. */
  readonly waiting?: number;
}

/**
 * BackupRestoreActivities over virtual plans, one FakeCopy a stage: its ledger, faults and held calls are those of the
 * stage. One object outlives the workers of a test, as vaults and ledgers do.
 */
export class FakeBackup {
  readonly stages: Readonly<Record<BackupStage, FakeCopy>>;
  /** Names of the stages' own calls in order. */
  readonly calls: string[] = [];
  readonly inputs: StageInput[] = [];
  readonly removed: BackupStage[] = [];
  watermark: string | null = null;
  snapshot: 'none' | 'held' | 'lost' | 'released' = 'none';
  log: 'none' | 'kept' | 'lost' | 'dropped' = 'none';
  private waiting: number;

  constructor(plan: VirtualPlan, { waiting = 1 }: FakeBackupOptions = {}) {
    this.stages = { backup: new FakeCopy(plan), transfer: new FakeCopy(plan), restore: new FakeCopy(plan) };
    this.waiting = waiting;
  }

  readonly activities: BackupRestoreActivities & Partial<CopyActivities> = {
    planBackupRestore: () => Promise.reject(new Error('No plan is asked for here.')),
    prepareBackup: (input) => this.prepare('backup', input),
    prepareTransfer: (input) => this.prepare('transfer', input),
    prepareRestore: (input) => this.prepare('restore', input),
    finishBackup: (input) => this.finish('backup', input),
    finishTransfer: (input) => this.finish('transfer', input),
    finishRestore: (input) => this.finish('restore', input),
    latestStage: async ({ stage, ...input }) => {
      this.calls.push(`latest ${stage}`);
      const { committed, dead } = this.stages[stage];
      return committed + dead.size === 0 ? null : await this.prepared(stage, input);
    },
    transferObjects: (input) => this.stages.transfer.activities.loadUnits(input),
    holdSnapshot: () => this.hold(),
    keepLog: () => this.keep(),
    cutBackup: async () => await this.cut(),
    dropLog: () => {
      this.log = 'dropped';
      return Promise.resolve();
    },
    moveWatermark: (input) => this.move(input),
    removeStage: ({ stage }) => {
      this.removed.push(stage);
      return this.stages[stage].activities.removeCopy(unused);
    },
    listBatches: (input) => this.of(input.ref).listBatches(input),
    loadUnits: (input) => this.of(input.ref).loadUnits(input),
    finishChunk: (input) => this.of(input.ref).finishChunk(input),
    skipUnit: (input) => this.of(input.ref).skipUnit(input),
  };

  private of({ load }: LoadRef): CopyActivities {
    const stage = backupStages.find((one) => load.startsWith(one)) ?? 'backup';
    return this.stages[stage].activities;
  }

  private async prepare(stage: BackupStage, input: StageInput): Promise<PreparedStage> {
    this.calls.push(`prepare ${stage}`);
    return await this.prepared(stage, input);
  }

  private async prepared(stage: BackupStage, input: StageInput): Promise<PreparedStage> {
    this.inputs.push(input);
    const backup = input.backup ?? `b${String(this.inputs.length)}`;
    const { plan, warnings, alreadyDone } = await this.stages[stage].activities.prepareCopy(unused);
    const ref: LoadRef = {
      ...{ job: input.job.name, load: `${stage}:${backup}`, run: input.run },
      ...{ sourceStore: 'near', targetStore: 'far' },
    };
    return { ref, plan, warnings, alreadyDone, backup };
  }

  private async finish(stage: BackupStage, input: FinishStageInput): Promise<FinishedStage> {
    this.calls.push(`finish ${stage}`);
    const finished = await this.stages[stage].activities.finishCopy({ ...unused, ...input, job: unused.job });
    const choosing = input.backup === null && stage !== 'backup';
    if (choosing) this.waiting -= 1;
    return {
      ...finished,
      backup: input.ref.load.slice(`${stage}:`.length),
      more: choosing && this.waiting > 0,
      watermark: stage === 'backup' ? '2026-01-02T00:00:00.000Z' : null,
      verified: stage === 'transfer',
    };
  }

  private move({ to }: MoveWatermarkInput): Promise<void> {
    this.watermark = to;
    return Promise.resolve();
  }

  /** More backups that a stage which chooses will find. */
  arrive(count: number): void {
    this.waiting += count;
  }

  /** Ends the snapshot as a server would that restarts. */
  loseSnapshot(): void {
    this.snapshot = 'lost';
  }

  private async hold(): Promise<void> {
    this.snapshot = 'held';
    const signal = cancellationSignal();
    for (;;) {
      heartbeat({ step: 'holding' });
      await new Promise((resolve) => setTimeout(resolve, 20));
      if (this.isLost())
        throw ApplicationFailure.nonRetryable('The session of the snapshot ended.', 'source.snapshotLost');
      if (signal.aborted) {
        this.snapshot = 'released';
        throw signal.reason as Error;
      }
    }
  }

  /** Ends the log as a server would that dropped the slot. */
  loseLog(): void {
    this.log = 'lost';
  }

  private async keep(): Promise<void> {
    this.calls.push('keep log');
    this.log = 'kept';
    const signal = cancellationSignal();
    for (;;) {
      heartbeat({ step: 'holding' });
      await new Promise((resolve) => setTimeout(resolve, 20));
      if (this.log === ('lost' as string))
        throw ApplicationFailure.nonRetryable('The slot is gone.', 'log.slotLost');
      if (signal.aborted) throw signal.reason as Error;
    }
  }

  private cut(): Promise<CutBackup> {
    this.calls.push('cut');
    return Promise.resolve({ changed: 1, again: 0 });
  }

  private isLost(): boolean {
    return this.snapshot === 'lost';
  }
}

/** The inner fakes look at names only. */
const unused = {
  run: 'fake',
  scheduledTime: '2026-01-01T00:00:00.000Z',
  job: {
    kind: 'copy',
    name: 'fake',
    onFailure: { mode: 'slow', attempts: 1, backoffInitialMs: 1, backoffMaxMs: 1 },
    source: { store: 'near', tables: [] },
    target: { store: 'far', mode: 'replace', createTables: false },
    run: { parallel: 1, memoryBytes: 1, verify: 'none', analyze: false },
  },
} as const;
