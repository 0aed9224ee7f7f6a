import { ScheduleNotFoundError, type WorkflowExecutionDescription } from '@temporalio/client';
import { jobKinds, type JobKind } from '../../definitions/contracts/job.ts';
import { scheduleIdOf, searchAttributes, workflowIdOf } from '../../definitions/contracts/names.ts';
import { SynclineError } from '../../definitions/errors.ts';
import type { TemporalAccess } from '../connection.ts';
import { notFound, translated } from './temporal-errors.ts';

export interface JobAddress {
  readonly kind: JobKind;
  readonly name: string;
  readonly workflowId: string;
}

export function addressOf(kind: JobKind, name: string): JobAddress {
  return { kind, name, workflowId: workflowIdOf(kind, name) };
}

/** `copy/trades`, which is the id of its workflow and of its schedule too; null for any other text. */
export function addressOfId(text: string): JobAddress | null {
  const kind = jobKinds.find((one) => text.startsWith(`${one}/`));
  return kind === undefined ? null : addressOf(kind, text.slice(kind.length + 1));
}

/**
 * A job by what people call it: `trades`, or `copy/trades` where kinds share a name. It has run, or has a schedule.
 * Errors: `job.notFound`, `definition.invalid` when the name alone does not say which, `temporal.*`.
 */
export async function findJob(access: TemporalAccess, text: string): Promise<JobAddress> {
  const exact = addressOfId(text);
  if (exact !== null) return exact;
  const candidates = jobKinds.map((kind) => addressOf(kind, text));
  const traces = await Promise.all(candidates.map((address) => traceOf(access, address)));
  return chosen(text, traces) ?? (await Promise.reject(notFound(text, access.target)));
}

/** What Temporal knows of a job. */
export interface JobTrace {
  readonly address: JobAddress;
  readonly there: boolean;
  /** All that is left of it is the history of its removal. */
  readonly removed: boolean;
}

/** Null when none is there. A removed job does not stand in the way of a living one. */
export function chosen(name: string, traces: readonly JobTrace[]): JobAddress | null {
  const there = traces.filter((trace) => trace.there);
  const living = there.filter(({ removed }) => !removed);
  const [first, ...others] = living.length > 0 ? living : there;
  if (first === undefined) return null;
  if (others.length === 0) return first.address;
  const names = [first, ...others].map(({ address }) => address.workflowId).join(', ');
  throw new SynclineError(
    'definition.invalid',
    `Jobs of several kinds are called "${name}": write which of them is meant, ${names}.`,
  );
}

async function traceOf(access: TemporalAccess, address: JobAddress): Promise<JobTrace> {
  const [description, scheduled] = await Promise.all([
    describeJob(access, address),
    hasSchedule(access, address),
  ]);
  const state = description === null ? undefined : attribute(description, searchAttributes.state);
  const running = description?.status.name === 'RUNNING';
  const removed = !scheduled && !running && state === 'removed';
  return { address, there: scheduled || description !== null, removed };
}

async function hasSchedule({ client, target }: TemporalAccess, { kind, name }: JobAddress): Promise<boolean> {
  try {
    await client.schedule.getHandle(scheduleIdOf(kind, name)).describe();
    return true;
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return false;
    throw translated(error, { target, job: name });
  }
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

/** Of any execution, as text; undefined where it was not set. */
export function attribute(
  description: Pick<WorkflowExecutionDescription, 'typedSearchAttributes'>,
  name: string,
): string | undefined {
  const found = description.typedSearchAttributes.getAll().find(({ key }) => key.name === name);
  return found === undefined ? undefined : String(found.value);
}
