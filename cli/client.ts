import type { WorkflowExecutionDescription, WorkflowHandle } from '@temporalio/client';
import { TypedSearchAttributes, defineSearchAttributeKey } from '@temporalio/common';
import type { JobInput, JobResult } from '../definitions/contracts/jobs.ts';
import { jobKinds, type JobKind, type ResolvedJob } from '../definitions/contracts/job.ts';
import type { LaunchInput, LaunchResult } from '../definitions/contracts/launch.ts';
import {
  launcherIdOf,
  searchAttributes,
  searchAttributeTypes,
  workflowIdOf,
  workflowTypes,
} from '../definitions/contracts/names.ts';
import { SynclineError } from '../definitions/errors.ts';
import type { TemporalAccess } from '../worker/connection.ts';
import { ensureSearchAttributes } from '../worker/search-attributes.ts';
import type { SubmittableJob } from './job-files.ts';
import { notFound, translated } from './temporal-errors.ts';

/** A job by name: `trades` or `copy/trades`. */
export interface JobAddress {
  readonly kind: JobKind;
  readonly name: string;
  readonly workflowId: string;
}

export function jobAddress(text: string): JobAddress {
  const kind = jobKinds.find((one) => text.startsWith(`${one}/`)) ?? 'copy';
  const name = text.startsWith(`${kind}/`) ? text.slice(kind.length + 1) : text;
  return { kind, name, workflowId: workflowIdOf(kind, name) };
}

/** The latest run of a job; null when it never ran, or so long ago that Temporal forgot it. */
export async function describeJob(
  access: TemporalAccess,
  address: JobAddress,
): Promise<WorkflowExecutionDescription | null> {
  try {
    return await access.client.workflow.getHandle(address.workflowId).describe();
  } catch (error) {
    const known = translated(error, { target: access.target, job: address.name });
    if (known instanceof SynclineError && known.code === 'job.notFound') return null;
    throw known;
  }
}

export async function describeExisting(
  access: TemporalAccess,
  address: JobAddress,
): Promise<WorkflowExecutionDescription> {
  const description = await describeJob(access, address);
  if (description === null) throw notFound(address.name, access.target);
  return description;
}

/** A submitted run. `result` follows continue-as-new. */
export interface Submitted {
  readonly address: JobAddress;
  readonly workflowId: string;
  readonly runId: string | null;
  /** Another run was active and the job's overlap rule lets this one wait for it or replace it. */
  readonly behind: boolean;
  result(): Promise<JobResult | null>;
}

/**
 * Starts one run under the overlap rule of its schedule (without one: `skip`).
 * Errors: `job.alreadyRunning`, `temporal.*`.
 */
export async function submit(access: TemporalAccess, submittable: SubmittableJob): Promise<Submitted> {
  const { job } = submittable;
  const address = jobAddress(`${job.kind}/${job.name}`);
  await ensureSearchAttributes({ connection: access.connection, namespace: access.target.namespace });
  const description = await describeJob(access, address);
  if (description?.status.name === 'RUNNING') {
    if ((job.schedule?.overlap ?? 'skip') === 'skip') throw alreadyRunning(job.name);
    return await submitBehind(access, address, submittable);
  }
  const { definitionHash } = submittable;
  return await start(access, address, inputOf(job, { definitionHash, intent: 'run' }));
}

export function alreadyRunning(name: string): SynclineError {
  return new SynclineError('job.alreadyRunning', `The job "${name}" is running.`);
}

/** The argument of the job's workflow. */
export function inputOf(
  job: ResolvedJob,
  rest: Pick<JobInput, 'definitionHash' | 'intent' | 'scheduledTime'>,
): JobInput {
  return job.kind === 'copy' ? { job, ...rest } : { job, ...rest };
}

/** From where to where, by the names of the stores. */
export function routeOf(job: ResolvedJob): string {
  if (job.kind === 'copy') return `${job.source.store} to ${job.target.store}`;
  const stops = [job.source?.store, job.backup.store, job.transfer?.store, job.restore?.store];
  return stops.filter((stop) => stop !== undefined).join(' to ');
}

/** One run at a time by the workflow id: two starts at once cannot both win. */
export async function start(
  access: TemporalAccess,
  address: JobAddress,
  input: JobInput,
): Promise<Submitted> {
  const { client, target } = access;
  try {
    const handle = await client.workflow.start(workflowTypes[address.kind], {
      workflowId: address.workflowId,
      workflowIdConflictPolicy: 'FAIL',
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      args: [input],
      ...startOptions(target.taskQueue, input),
    });
    return {
      address,
      workflowId: address.workflowId,
      runId: handle.firstExecutionRunId,
      behind: false,
      result: async () => (await handle.result()) as JobResult,
    };
  } catch (error) {
    if (error instanceof Error && error.name === 'WorkflowExecutionAlreadyStartedError') {
      throw alreadyRunning(address.name);
    }
    throw translated(error, { target, job: address.name });
  }
}

/** The launcher knows the rules `buffer` and `cancel`; the schedule uses the same one. */
async function submitBehind(
  access: TemporalAccess,
  address: JobAddress,
  { job, definitionHash }: SubmittableJob,
): Promise<Submitted> {
  const { client, target } = access;
  const input: LaunchInput = { job, definitionHash };
  const workflowId = `${launcherIdOf(job.kind, job.name)}-${new Date().toISOString()}`;
  const handle: WorkflowHandle = await client.workflow.start(workflowTypes.launch, {
    workflowId,
    args: [input],
    ...startOptions(target.taskQueue, input),
  });
  return {
    address,
    workflowId,
    runId: null,
    behind: true,
    result: async () => {
      const { outcome } = (await handle.result()) as LaunchResult;
      if (outcome === 'skipped') return null;
      return (await client.workflow.getHandle(address.workflowId).result()) as JobResult;
    },
  };
}

const jobKey = defineSearchAttributeKey(searchAttributes.job, searchAttributeTypes.SynclineJob);
const kindKey = defineSearchAttributeKey(searchAttributes.kind, searchAttributeTypes.SynclineKind);

/** What the UI shows beside a run; also of the launcher, so that a search for the job finds both. */
export function startOptions(taskQueue: string, { job, definitionHash }: LaunchInput) {
  return {
    taskQueue,
    memo: { definitionHash },
    staticSummary: job.description ?? `${job.kind} ${routeOf(job)}`,
    typedSearchAttributes: new TypedSearchAttributes([
      { key: jobKey, value: job.name },
      { key: kindKey, value: job.kind },
    ]),
  };
}
