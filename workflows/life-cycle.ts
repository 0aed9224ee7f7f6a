import { allHandlersFinished, CancellationScope, CancelledFailure, condition } from '@temporalio/workflow';
import { failureWith } from './failures.ts';
import { wireControl } from './job-control.ts';
import type { EarlyEnding, JobRun } from './job-run.ts';

/** What one kind of job does; the rest of a job's life is the same for all. */
export interface KindOfWork<Result> {
  /** Everything between the first and the last activity; answers how it ended when it ended early. */
  work(): Promise<{ readonly result: Result } | { readonly ending: EarlyEnding }>;
  /** `remove`: the clean-up, bounded; throws when a side cannot be cleaned up. */
  cleanUp(): Promise<void>;
  removedResult(): Result;
  /** Goes on in a new run; never returns. */
  continueAsNew(): Promise<never>;
}

/**
 * Runs a job to its end under control of Updates: results, removal, continue-as-new and cancellation. Fails with an
 * error code as type: `preflight.refused` (details: findings), `job.notFound` (intent `retry`), what no attempt can
 * cure, or a removal that could not be completed. Cancelled: work stops, the ledger stays.
 */
export async function live<Result>(job: JobRun, kind: KindOfWork<Result>): Promise<Result> {
  wireControl(job);
  CancellationScope.current().cancelRequested.catch(() => {
    job.cancelRequested = true;
    job.interrupt();
    job.touch();
  });
  // The job decides itself what a cancellation interrupts: the clean-up of a removal, for one, goes on.
  return await CancellationScope.nonCancellable(() => runToEnd(job, kind));
}

async function runToEnd<Result>(job: JobRun, kind: KindOfWork<Result>): Promise<Result> {
  try {
    const worked = await kind.work();
    if ('result' in worked) {
      job.end('done');
      return worked.result;
    }
    return await endedEarly(job, kind, worked.ending);
  } catch (error) {
    if (job.ended === null) job.end('failed', error instanceof Error ? error.message : null);
    throw error;
  } finally {
    await condition(allHandlersFinished);
  }
}

async function endedEarly<Result>(
  job: JobRun,
  kind: KindOfWork<Result>,
  ending: EarlyEnding,
): Promise<Result> {
  if (ending === 'continue') {
    await condition(allHandlersFinished);
    // Handlers that finished meanwhile may have asked for something that a new run could not know of.
    ending = job.ending ?? 'continue';
  }
  switch (ending) {
    case 'remove':
      await removed(job, kind);
      return kind.removedResult();
    case 'cancel':
      job.end('failed', 'The workflow was cancelled; what is in the ledger stays.');
      throw new CancelledFailure('The workflow was cancelled.');
    case 'fail':
      throw asFailure(job);
    case 'continue':
      return await kind.continueAsNew();
  }
}

function asFailure({ fatal, pinnedTooLong }: Pick<JobRun, 'fatal' | 'pinnedTooLong'>): Error {
  if (pinnedTooLong)
    return failureWith('source.snapshotLost', 'There are too many chunks to read under one snapshot.');
  if (fatal === null) return failureWith('internal.unexpected', 'The job ended without a reason.');
  return failureWith(fatal.code, fatal.message, fatal.details);
}

/** Bounded: if a side cannot be cleaned up, the workflow fails with the reason instead of trying for ever. */
async function removed<Result>(job: JobRun, kind: KindOfWork<Result>): Promise<void> {
  job.removeRequested = true;
  job.stepRunning = true;
  job.publish();
  await kind.cleanUp();
  job.stepRunning = false;
  job.end('removed');
}
