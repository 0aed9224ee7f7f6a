import {
  allHandlersFinished,
  CancellationScope,
  CancelledFailure,
  condition,
  continueAsNew,
} from '@temporalio/workflow';
import type { CopyInput, CopyResult, FinishedCopy, PreparedLoad } from '../definitions/contracts/copy.ts';
import { Dispatch } from '../planning/dispatch.ts';
import { CopyRun, type Ending } from './copy-run.ts';
import { callFailureOf, failureWith } from './failures.ts';
import { wireControl } from './job-control.ts';
import { loadPass } from './load-pass.ts';
import { moving, reading, removal } from './proxies.ts';
import { runStep } from './steps.ts';

/**
 * A copy from the first check to the result: prepare, load, finish. Workflow id `copy/<job>`.
 * Fails with an error code as type: `preflight.refused` (details: findings), `job.notFound` (intent `retry`), what no
 * attempt can cure, or a removal that could not be completed. Cancelled: work stops, the ledger stays.
 */
export async function copy(input: CopyInput): Promise<CopyResult> {
  const job = new CopyRun(input);
  wireControl(job);
  CancellationScope.current().cancelRequested.catch(() => {
    job.cancelRequested = true;
    job.interrupt();
    job.touch();
  });
  // The job decides itself what a cancellation interrupts: the clean-up of a removal, for one, goes on.
  return await CancellationScope.nonCancellable(() => runToEnd(job));
}

async function runToEnd(job: CopyRun): Promise<CopyResult> {
  try {
    const worked = await work(job);
    if (typeof worked !== 'string') {
      job.end('done');
      return resultOf(job, worked);
    }
    return await endedEarly(job, worked);
  } catch (error) {
    if (job.ended === null) job.end('failed', error instanceof Error ? error.message : null);
    throw error;
  } finally {
    await condition(allHandlersFinished);
  }
}

async function endedEarly(job: CopyRun, ending: Exclude<Ending, 'finished'>): Promise<CopyResult> {
  if (ending === 'continue') {
    await condition(allHandlersFinished);
    // Handlers that finished meanwhile may have asked for something that a new run could not know of.
    ending = job.ending ?? 'continue';
  }
  switch (ending) {
    case 'remove':
      return await removed(job);
    case 'cancel':
      job.end('failed', 'The workflow was cancelled; what is in the ledger stays.');
      throw new CancelledFailure('The workflow was cancelled.');
    case 'continue':
      return await continueAsNew<typeof copy>(job.continued);
  }
}

/** Everything between the first and the last activity; answers how it ended. */
async function work(job: CopyRun): Promise<FinishedCopy | Exclude<Ending, 'finished'>> {
  if (job.input.intent === 'remove') return 'remove';
  if (job.ref === null) {
    const ending = await prepare(job);
    if (ending !== null) return ending;
  }
  job.step = 'load';
  for (;;) {
    const ending = await loadPass(job);
    if (ending !== 'finished') return ending;
    if (!job.retryRequested) break;
    beginRetryPass(job);
  }
  return await finish(job);
}

async function prepare(job: CopyRun): Promise<Exclude<Ending, 'finished'> | null> {
  const again = job.input.intent === 'retry';
  const prepared = await runStep<PreparedLoad | null>(job, {
    label: again ? 'latest load' : 'prepare',
    summary: again ? 'Look up the latest load' : 'Check both sides and plan',
    call: (options) =>
      again
        ? reading.latestLoad.executeWithOptions(options, [job.prepareInput])
        : moving.prepareCopy.executeWithOptions(options, [job.prepareInput]),
  });
  if ('ending' in prepared) return prepared.ending;
  if (prepared.value === null) throw failureWith('job.notFound', `Job ${job.name} has no load to retry.`);
  const { ref, plan, warnings, alreadyDone } = prepared.value;
  job.ref = ref;
  job.plan = plan;
  job.warnings = warnings;
  if (again) {
    job.totals = { ...job.totals, unitsDone: alreadyDone, unitsSkipped: plan.units - alreadyDone };
    beginRetryPass(job);
  }
  return null;
}

function beginRetryPass(job: CopyRun): void {
  job.retryRequested = false;
  job.retryRound += 1;
  job.dispatch = new Dispatch({ cursor: 0, cursorDone: false, waiting: [], skippedSlices: [] });
}

async function finish(job: CopyRun): Promise<FinishedCopy | Exclude<Ending, 'finished'>> {
  const { ref } = job;
  if (ref === null) throw failureWith('internal.unexpected', 'The load was finished before it was prepared.');
  job.step = 'finish';
  const finished = await runStep(job, {
    label: 'finish',
    summary: 'Analyze, check the totals, close the load',
    call: (options) =>
      moving.finishCopy.executeWithOptions(options, [{ ref, job: job.input.job, totals: job.totals }]),
  });
  if ('ending' in finished) return finished.ending;
  job.totals = finished.value.totals;
  return finished.value;
}

/** Bounded: if a side cannot be cleaned up, the workflow fails with the reason instead of trying for ever. */
async function removed(job: CopyRun): Promise<CopyResult> {
  job.removeRequested = true;
  job.stepRunning = true;
  job.publish();
  try {
    const options = { activityId: job.activityId('remove'), summary: 'Clean up both sides' };
    await removal.removeCopy.executeWithOptions(options, [job.prepareInput]);
  } catch (error) {
    const { code, message, details } = callFailureOf(error, 1);
    throw failureWith(code, message, details);
  }
  job.stepRunning = false;
  job.end('removed');
  return { ...resultOf(job, { totals: job.totals, skipped: [], warnings: [] }), state: 'removed' };
}

function resultOf(job: CopyRun, finished: FinishedCopy): CopyResult {
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
