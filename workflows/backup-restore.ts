import { continueAsNew } from '@temporalio/workflow';
import type {
  BackupRestoreInput,
  BackupRestoreResult,
  CutBackup,
  FinishedStage,
  PreparedStage,
} from '../definitions/contracts/backup-restore.ts';
import type { Consistency } from '../definitions/contracts/job.ts';
import { loadCalls } from './batch-calls.ts';
import { actsOf, removeStages, type StageActs } from './backup-stages.ts';
import { failureWith } from './failures.ts';
import { holdSnapshotBeside } from './held-snapshot.ts';
import { keepLogBeside } from './kept-log.ts';
import { type EarlyEnding, JobRun } from './job-run.ts';
import { live } from './life-cycle.ts';
import { loadPasses } from './load-pass.ts';
import { moving, writing } from './proxies.ts';
import { StageRun } from './stage-run.ts';
import { runStep, type StepEnd } from './steps.ts';

/**
 * Backup, transfer and restore, those of them that the job names, one after another: each prepares, loads and finishes
 * at the site of its store. Workflow id `backup-restore/<job>`. Errors: life-cycle.ts.
 */
export async function backupRestore(input: BackupRestoreInput): Promise<BackupRestoreResult> {
  const { name, onFailure, run } = input.job;
  const { scheduledTime, carried } = input;
  const job = new JobRun({
    ...{ kind: 'backup-restore', name, onFailure, run, scheduledTime, carried, calls: loadCalls },
  });
  const stages = new StageRun(job, input);
  return await live<BackupRestoreResult>(job, {
    work: () => work(job, stages, input),
    cleanUp: () => removeStages(job, stages),
    removedResult: () => ({ ...resultOf(job, stages), state: 'removed' }),
    continueAsNew: () =>
      continueAsNew<typeof backupRestore>({
        ...input,
        scheduledTime: job.scheduledTime,
        carried: stages.carried,
      }),
  });
}

type Worked = { readonly result: BackupRestoreResult } | { readonly ending: EarlyEnding };

async function work(job: JobRun, stages: StageRun, input: BackupRestoreInput): Promise<Worked> {
  if (input.intent === 'remove') return { ending: 'remove' };
  while (stages.current !== null) {
    const ending = await runStage(job, stages, input);
    if (ending !== null) return { ending };
  }
  const ending = await moveWatermark(job, stages);
  return ending === null ? { result: resultOf(job, stages) } : { ending };
}

async function runStage(
  job: JobRun,
  stages: StageRun,
  { intent }: BackupRestoreInput,
): Promise<EarlyEnding | null> {
  const release = keepInstant(job, stages);
  let ended: Ended = 'failed';
  try {
    const ending = await loadStage(job, stages, { acts: actsOf(stages), again: intent === 'retry' });
    ended = ending ?? 'finished';
    return ending;
  } finally {
    await release(ended);
  }
}

type Ended = EarlyEnding | 'finished' | 'failed';

/** What a backup needs beside its load to be of one instant. Answers what ends it. */
function keepInstant(job: JobRun, stages: StageRun): (ended: Ended) => Promise<void> {
  switch (instantOf(stages)) {
    case 'snapshot':
      return holdSnapshotBeside(job, stages);
    case 'cut':
      return keepLogBeside(job, stages);
    case 'chunk':
      return () => Promise.resolve();
  }
}

function instantOf({ current, definition }: StageRun): Consistency {
  return current === 'backup' ? definition.backup.consistency : 'chunk';
}

async function loadStage(job: JobRun, stages: StageRun, how: Preparing): Promise<EarlyEnding | null> {
  if (job.ref === null) {
    const ending = await prepare(job, stages, how);
    if (ending !== null) return ending;
  }
  const ending = await loadPasses(job);
  if (ending !== 'finished') return ending;
  if (instantOf(stages) === 'cut') {
    const cut = await bringToInstant(job, stages);
    if ('ending' in cut) return cut.ending;
  }
  const finished = await finish(job, stages, how.acts);
  if ('ending' in finished) return finished.ending;
  stages.complete(finished.value);
  return null;
}

async function bringToInstant(job: JobRun, stages: StageRun): Promise<StepEnd<CutBackup>> {
  const { ref } = job;
  if (ref === null) throw failureWith('internal.unexpected', 'The backup was cut before it was prepared.');
  job.step = 'finish';
  const { verify } = stages.definition.run;
  return await runStep<CutBackup>(job, {
    label: 'cut backup',
    summary: 'Bring all chunks to one instant',
    call: (options) => moving.cutBackup.executeWithOptions(options, [{ ...stages.input, ref, verify }]),
  });
}

interface Preparing {
  readonly acts: StageActs;
  readonly again: boolean;
}

/**
 * `again`: goes on with the stage's latest load of this backup, if there is one. What this run itself has ended is the
 * latest from then on, so the backups that wait after it are new.
 */
async function prepare(
  job: JobRun,
  stages: StageRun,
  { acts, again }: Preparing,
): Promise<EarlyEnding | null> {
  const resumable = again && !stages.repeats && instantOf(stages) === 'chunk';
  const latest = resumable
    ? await runStep<PreparedStage | null>(job, {
        label: `latest ${acts.stage}`,
        summary: `Look up the latest ${acts.stage}`,
        call: (options) => acts.latest(options, stages.input),
      })
    : { value: null };
  if ('ending' in latest) return latest.ending;
  if (latest.value !== null) {
    stages.choose(latest.value.backup);
    job.begin(latest.value, { again: true });
    return null;
  }
  if (resumable && stages.isFirst) throw failureWith('job.notFound', `Job ${job.name} has nothing to retry.`);
  const prepared = await runStep<PreparedStage>(job, {
    label: `prepare ${acts.stage}`,
    summary: acts.prepareSummary,
    call: (options) => acts.prepare(options, stages.input),
  });
  if ('ending' in prepared) return prepared.ending;
  stages.choose(prepared.value.backup);
  job.begin(prepared.value, { again: false });
  return null;
}

async function finish(
  job: JobRun,
  stages: StageRun,
  acts: StageActs,
): Promise<{ readonly value: FinishedStage } | { readonly ending: EarlyEnding }> {
  const { ref } = job;
  if (ref === null)
    throw failureWith('internal.unexpected', 'The stage was finished before it was prepared.');
  job.step = 'finish';
  return await runStep(job, {
    label: `finish ${acts.stage}`,
    summary: acts.finishSummary,
    call: (options) => acts.finish(options, { ...stages.input, ref, totals: job.totals }),
  });
}

/** Only when every stage is verified and nothing was set aside: what lies below the watermark is never read again. */
async function moveWatermark(job: JobRun, stages: StageRun): Promise<EarlyEnding | null> {
  const { watermark } = stages;
  if (watermark === null || stages.skipped.length > 0) return null;
  job.place = stages.placeOf('backup');
  const moved = await runStep(job, {
    label: 'watermark',
    summary: 'Move the watermark',
    call: (options) =>
      writing.moveWatermark.executeWithOptions(options, [{ ...stages.input, to: watermark }]),
  });
  return 'ending' in moved ? moved.ending : null;
}

function resultOf(job: JobRun, stages: StageRun): BackupRestoreResult {
  const { last, skipped, statuses, backup } = stages;
  return {
    name: job.name,
    kind: 'backup-restore',
    state: 'done',
    chunks: { total: last.chunks.total, done: last.chunks.done, skipped: last.chunks.skipped },
    rows: last.rows,
    bytes: last.bytes,
    ms: Date.now() - Date.parse(job.startedAt),
    skipped,
    warnings: job.warnings,
    stages: statuses,
    backup,
  };
}
