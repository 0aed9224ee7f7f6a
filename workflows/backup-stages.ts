import type { ActivityOptions } from '@temporalio/workflow';
import type {
  FinishedStage,
  FinishStageInput,
  PreparedStage,
  StageInput,
} from '../definitions/contracts/backup-restore.ts';
import type { BackupStage } from '../definitions/contracts/job.ts';
import { type BatchCalls, loadCalls, transferCalls } from './batch-calls.ts';
import { type CallFailure, callFailureOf, failureWith } from './failures.ts';
import type { JobRun } from './job-run.ts';
import { moving, reading, removal } from './proxies.ts';
import type { StageRun } from './stage-run.ts';

/** The activities of one stage. */
export interface StageActs {
  readonly stage: BackupStage;
  readonly prepareSummary: string;
  readonly finishSummary: string;
  prepare(options: ActivityOptions, input: StageInput): Promise<PreparedStage>;
  latest(options: ActivityOptions, input: StageInput): Promise<PreparedStage | null>;
  finish(options: ActivityOptions, input: FinishStageInput): Promise<FinishedStage>;
}

const stageActs: Readonly<Record<BackupStage, Omit<StageActs, 'stage' | 'latest'>>> = {
  backup: {
    prepareSummary: 'Check the source and plan the backup',
    finishSummary: 'Publish the manifest',
    prepare: (options, input) => moving.prepareBackup.executeWithOptions(options, [input]),
    finish: (options, input) => moving.finishBackup.executeWithOptions(options, [input]),
  },
  transfer: {
    prepareSummary: 'Plan the transfer',
    finishSummary: 'Publish the manifest at the far end',
    prepare: (options, input) => moving.prepareTransfer.executeWithOptions(options, [input]),
    finish: (options, input) => moving.finishTransfer.executeWithOptions(options, [input]),
  },
  restore: {
    prepareSummary: 'Verify the backup, check the target and plan',
    finishSummary: 'Analyze, check the totals, close the load',
    prepare: (options, input) => moving.prepareRestore.executeWithOptions(options, [input]),
    finish: (options, input) => moving.finishRestore.executeWithOptions(options, [input]),
  },
};

/** Of the stage under way. */
export function actsOf({ current }: StageRun): StageActs {
  if (current === null) throw failureWith('internal.unexpected', 'All stages are over.');
  return {
    ...stageActs[current],
    stage: current,
    latest: (options, input) =>
      reading.latestStage.executeWithOptions(options, [{ ...input, stage: current }]),
  };
}

export function callsOf(stage: BackupStage): BatchCalls {
  return stage === 'transfer' ? transferCalls : loadCalls;
}

/** Each side is cleaned up even when another one cannot be; the first failure is then the job's. */
export async function removeStages(job: JobRun, stages: StageRun): Promise<void> {
  let first: CallFailure | null = null;
  for (const stage of stages.definition.stages) {
    try {
      const options = {
        ...{ activityId: job.activityId(`remove ${stage}`), summary: `Clean up after ${stage}` },
        ...stages.placeOf(stage),
      };
      await removal.removeStage.executeWithOptions(options, [{ ...stages.input, stage }]);
    } catch (error) {
      first ??= callFailureOf(error, 1);
    }
  }
  if (first !== null) throw failureWith(first.code, first.message, first.details);
}
