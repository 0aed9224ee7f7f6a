import { continueAsNew } from '@temporalio/workflow';
import type {
  CopyInput,
  CopyResult,
  FinishedCopy,
  PreparedLoad,
  PrepareInput,
} from '../definitions/contracts/copy.ts';
import { loadCalls } from './batch-calls.ts';
import { endLink, linkOf, loadConsistently } from './consistent-copy.ts';
import { callFailureOf, failureWith } from './failures.ts';
import { type EarlyEnding, JobRun } from './job-run.ts';
import { live } from './life-cycle.ts';
import { loadPasses } from './load-pass.ts';
import { moving, reading, removal } from './proxies.ts';
import { runStep, type StepEnd } from './steps.ts';

/** A copy from the first check to the result: prepare, load, finish. Workflow id `copy/<job>`. Errors: life-cycle.ts. */
export async function copy(input: CopyInput): Promise<CopyResult> {
  const { name, onFailure, run } = input.job;
  const { scheduledTime, carried } = input;
  const job = new JobRun({ kind: 'copy', name, onFailure, run, scheduledTime, carried, calls: loadCalls });
  const nothing: FinishedCopy = { totals: job.totals, skipped: [], warnings: [] };
  return await live<CopyResult>(job, {
    work: () => work(job, input),
    cleanUp: () => cleanUp(job, input),
    removedResult: () => ({ ...resultOf(job, { ...nothing, totals: job.totals }), state: 'removed' }),
    continueAsNew: () =>
      continueAsNew<typeof copy>({ ...input, scheduledTime: job.scheduledTime, carried: job.carried }),
  });
}

function prepareInputOf(job: JobRun, input: CopyInput): PrepareInput {
  return { job: input.job, run: job.run, scheduledTime: job.scheduledTime };
}

type Worked = { readonly result: CopyResult } | { readonly ending: EarlyEnding };

async function work(job: JobRun, input: CopyInput): Promise<Worked> {
  if (input.intent === 'remove') return { ending: 'remove' };
  return input.job.consistent === true ? await workConsistently(job, input) : await workByChunks(job, input);
}

async function workByChunks(job: JobRun, input: CopyInput): Promise<Worked> {
  if (job.ref === null) {
    const ending = await prepare(job, input);
    if (ending !== null) return { ending };
  }
  const ending = await loadPasses(job);
  if (ending !== 'finished') return { ending };
  const finished = await finish(job, input);
  if ('ending' in finished) return finished;
  job.totals = finished.value.totals;
  return { result: resultOf(job, finished.value) };
}

/** The same, but all chunks are of one instant in the end. */
async function workConsistently(job: JobRun, input: CopyInput): Promise<Worked> {
  const loaded = await loadConsistently(job, input);
  if ('ending' in loaded) return loaded;
  const finished = await finish(job, input);
  if ('ending' in finished) return finished;
  const ending = await endLink(job, input);
  if (ending !== null) return { ending };
  job.totals = finished.value.totals;
  return { result: { ...resultOf(job, finished.value), consistentAt: loaded.value } };
}

async function prepare(job: JobRun, input: CopyInput): Promise<EarlyEnding | null> {
  const again = input.intent === 'retry';
  const prepared = await runStep<PreparedLoad | null>(job, {
    label: again ? 'latest load' : 'prepare',
    summary: again ? 'Look up the latest load' : 'Check both sides and plan',
    call: (options) =>
      again
        ? reading.latestLoad.executeWithOptions(options, [prepareInputOf(job, input)])
        : moving.prepareCopy.executeWithOptions(options, [prepareInputOf(job, input)]),
  });
  if ('ending' in prepared) return prepared.ending;
  if (prepared.value === null) throw failureWith('job.notFound', `Job ${job.name} has no load to retry.`);
  job.begin(prepared.value, { again });
  return null;
}

async function finish(job: JobRun, input: CopyInput): Promise<StepEnd<FinishedCopy>> {
  const { ref } = job;
  if (ref === null) throw failureWith('internal.unexpected', 'The load was finished before it was prepared.');
  job.step = 'finish';
  return await runStep(job, {
    label: 'finish',
    summary: 'Analyze, check the totals, close the load',
    call: (options) =>
      moving.finishCopy.executeWithOptions(options, [{ ref, job: input.job, totals: job.totals }]),
  });
}

async function cleanUp(job: JobRun, input: CopyInput): Promise<void> {
  try {
    const options = { activityId: job.activityId('remove'), summary: 'Clean up both sides' };
    await removal.removeCopy.executeWithOptions(options, [prepareInputOf(job, input)]);
    if (input.job.consistent === true) {
      const ended = { activityId: job.activityId('remove the log'), summary: 'Drop slot and publication' };
      await removal.removeLink.executeWithOptions(ended, [{ ...linkOf(job, input), abandon: null }]);
    }
  } catch (error) {
    const { code, message, details } = callFailureOf(error, 1);
    throw failureWith(code, message, details);
  }
}

function resultOf(job: JobRun, finished: FinishedCopy): CopyResult {
  const { totals, skipped, warnings } = finished;
  return {
    name: job.name,
    kind: 'copy',
    state: 'done',
    chunks: { total: job.plan?.units ?? 0, done: totals.unitsDone, skipped: totals.unitsSkipped },
    rows: totals.rowsWritten,
    bytes: totals.bytes,
    ms: Date.now() - Date.parse(job.startedAt),
    skipped,
    warnings: [...job.warnings, ...warnings],
  };
}
