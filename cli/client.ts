import type { WorkflowHandle } from '@temporalio/client';
import { TypedSearchAttributes, defineSearchAttributeKey } from '@temporalio/common';
import type { LinkSide } from '../definitions/contracts/duplication.ts';
import type { JobInput, JobResult } from '../definitions/contracts/jobs.ts';
import type { ResolvedJob } from '../definitions/contracts/job.ts';
import type { LaunchInput, LaunchResult } from '../definitions/contracts/launch.ts';
import {
  launcherIdOf,
  searchAttributes,
  searchAttributeTypes,
  workflowTypes,
} from '../definitions/contracts/names.ts';
import { SynclineError } from '../definitions/errors.ts';
import type { TemporalAccess } from '../worker/connection.ts';
import { ensureSearchAttributes } from '../worker/search-attributes.ts';
import { addressOf, describeJob, type JobAddress } from '../worker/jobs/job-address.ts';
import type { Start } from '../worker/jobs/latest-start.ts';
import type { SubmittableJob } from './job-files.ts';
import type { SiteQueues } from './sites.ts';
import { translated } from '../worker/jobs/temporal-errors.ts';

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
  const address = addressOf(job.kind, job.name);
  await ensureSearchAttributes({ connection: access.connection, namespace: access.target.namespace });
  const description = await describeJob(access, address);
  if (description?.status.name === 'RUNNING') {
    if ((job.schedule?.overlap ?? 'skip') === 'skip') throw alreadyRunning(job.name);
    return await submitBehind(access, address, submittable);
  }
  const { definitionHash, queues } = submittable;
  const input = inputOf(job, { definitionHash, intent: 'run', queues });
  return await start(access, address, { input, taskQueue: access.target.taskQueue });
}

export function alreadyRunning(name: string): SynclineError {
  return new SynclineError('job.alreadyRunning', `The job "${name}" is running.`);
}

/** The argument of the job's workflow. */
export function inputOf(
  job: ResolvedJob,
  {
    queues,
    ...rest
  }: Pick<JobInput, 'definitionHash' | 'intent'> & { readonly queues?: SiteQueues | undefined },
): JobInput {
  switch (job.kind) {
    case 'copy':
      return { job, ...rest };
    case 'duplication':
      return { job, ...rest };
    case 'backup-restore':
      return { job, ...rest, ...(queues === undefined ? {} : { queues }) };
  }
}

/** From where to where, by the names of the stores. */
export function routeOf(job: ResolvedJob): string {
  if (job.kind === 'copy') return `${job.source.store} to ${job.target.store}`;
  if (job.kind === 'duplication')
    return `${job.source.store} to ${job.targets.map(({ store }) => store).join(', ')}`;
  const stops = [job.source?.store, job.backup.store, job.transfer?.store, job.restore?.store];
  return stops.filter((stop) => stop !== undefined).join(' to ');
}

/** The same job again for another purpose; nothing of how far it had come is carried over. */
export function againFor(intent: JobInput['intent'], { input, taskQueue }: Start, abandon?: LinkSide): Start {
  const { job, definitionHash } = input;
  const queues = 'queues' in input ? input.queues : undefined;
  const again = inputOf(job, { definitionHash, intent, queues });
  const gone = abandon === undefined || again.job.kind !== 'duplication' ? {} : { abandon };
  return { input: { ...again, ...gone }, taskQueue };
}

/** One run at a time by the workflow id: two starts at once cannot both win. */
export async function start(
  access: TemporalAccess,
  address: JobAddress,
  { input, taskQueue }: Start,
): Promise<Submitted> {
  const { client, target } = access;
  try {
    const handle = await client.workflow.start(workflowTypes[address.kind], {
      workflowId: address.workflowId,
      workflowIdConflictPolicy: 'FAIL',
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      args: [input],
      ...startOptions(taskQueue, input),
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

export function launchInputOf({ job, definitionHash, queues }: SubmittableJob): LaunchInput {
  return { job, definitionHash, ...(queues === undefined ? {} : { queues }) };
}

/** The launcher knows the rules `buffer` and `cancel`; the schedule uses the same one. */
async function submitBehind(
  access: TemporalAccess,
  address: JobAddress,
  submittable: SubmittableJob,
): Promise<Submitted> {
  const { client, target } = access;
  const { job } = submittable;
  const input = launchInputOf(submittable);
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
