import {
  ApplicationFailure,
  ChildWorkflowFailure,
  defineSearchAttributeKey,
  WorkflowExecutionAlreadyStartedError,
} from '@temporalio/common';
import {
  type ChildWorkflowHandle,
  continueAsNew,
  getExternalWorkflowHandle,
  isCancellation,
  sleep,
  startChild,
  workflowInfo,
} from '@temporalio/workflow';
import type { JobInput, JobResult } from '../definitions/contracts/jobs.ts';
import type { LaunchInput, LaunchResult } from '../definitions/contracts/launch.ts';
import { workflowIdOf, workflowTypes } from '../definitions/contracts/names.ts';
import { isErrorCode } from '../definitions/errors.ts';
import { failureWith } from './failures.ts';
import { attributesOfNewJob } from './search-attributes.ts';

type JobWorkflow = (input: JobInput) => Promise<JobResult>;

const scheduledStart = defineSearchAttributeKey('TemporalScheduledStartTime', 'DATETIME');
const firstLookMs = 1_000;
const lastLookMs = 60_000;
const longHistory = 2_000;

/**
 * What a schedule starts. Its only child is `<kind>/<job>`, the id that a run by hand takes too, so that the overlap
 * rule holds for both. Fails with the code that the child failed with.
 */
export async function launch(input: LaunchInput): Promise<LaunchResult> {
  const { job } = input;
  const child = workflowIdOf(job.kind, job.name);
  const overlap = job.schedule?.overlap ?? 'skip';
  const scheduledTime = input.scheduledTime ?? scheduledTimeOf();
  for (let waitMs = firstLookMs; ; waitMs = Math.min(waitMs * 2, lastLookMs)) {
    const handle = await startUnlessTaken({ ...input, scheduledTime }, child);
    if (handle !== null) return await outcomeOf(handle);
    if (overlap === 'skip') return { outcome: 'skipped', child };
    if (overlap === 'cancel' && waitMs === firstLookMs) await cancelRunning(child);
    await sleep(waitMs, { summary: `Until ${child} is over` });
    if (workflowInfo().continueAsNewSuggested || workflowInfo().historyLength > longHistory) {
      return await continueAsNew<typeof launch>({ ...input, scheduledTime });
    }
  }
}

/** The time the run was due, so that a late run means the same window. */
function scheduledTimeOf(): string {
  const info = workflowInfo();
  return (info.typedSearchAttributes.get(scheduledStart) ?? info.startTime).toISOString();
}

async function startUnlessTaken(
  input: LaunchInput,
  workflowId: string,
): Promise<ChildWorkflowHandle<JobWorkflow> | null> {
  const { job } = input;
  try {
    return await startChild<JobWorkflow>(workflowTypes[job.kind], {
      workflowId,
      args: [argumentOf(input)],
      // A launcher that is terminated must not take a half-done load with it; a cancelled one passes it on by itself.
      parentClosePolicy: 'ABANDON',
      typedSearchAttributes: attributesOfNewJob(job.name, job.kind),
      staticSummary: `${job.kind} ${job.name}`,
    });
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return null;
    throw error;
  }
}

/** A duplication has neither windows nor sites: it is a live copy, whenever it was begun. */
function argumentOf({ job, definitionHash, scheduledTime, queues }: LaunchInput): JobInput {
  const start = { definitionHash, intent: 'run' } as const;
  if (job.kind === 'duplication') return { job, ...start };
  const rest = { ...start, ...(scheduledTime === undefined ? {} : { scheduledTime }) };
  if (job.kind === 'copy') return { job, ...rest };
  return { job, ...rest, ...(queues === undefined ? {} : { queues }) };
}

async function cancelRunning(workflowId: string): Promise<void> {
  try {
    await getExternalWorkflowHandle(workflowId).cancel();
  } catch (error) {
    // It ended between our look and our request; any other failure shows when the id stays taken.
    if (isCancellation(error)) throw error;
  }
}

async function outcomeOf(handle: ChildWorkflowHandle<JobWorkflow>): Promise<LaunchResult> {
  try {
    await handle.result();
    return { outcome: 'ran', child: handle.workflowId };
  } catch (error) {
    if (!(error instanceof ChildWorkflowFailure)) throw error;
    const { cause } = error;
    if (cause instanceof ApplicationFailure && typeof cause.type === 'string' && isErrorCode(cause.type)) {
      throw failureWith(cause.type, cause.message, cause.details ?? []);
    }
    throw error;
  }
}
