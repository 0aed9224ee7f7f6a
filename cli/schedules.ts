import { createHash } from 'node:crypto';
import {
  type ScheduleDescription,
  ScheduleNotFoundError,
  type ScheduleOptions,
  type ScheduleOptionsStartWorkflowAction,
  type ScheduleOverlapPolicy,
  type Workflow,
} from '@temporalio/client';
import type {
  CalendarRule,
  OverlapRule,
  ResolvedJob,
  ResolvedSchedule,
} from '../definitions/contracts/job.ts';
import { launcherIdOf, scheduleIdOf, workflowTypes } from '../definitions/contracts/names.ts';
import { canonicalJson } from '../definitions/resolve.ts';
import type { TemporalAccess } from '../worker/connection.ts';
import { launchInputOf, startOptions } from './client.ts';
import type { SubmittableJob } from './job-files.ts';

/** `none`: the job has no schedule, before and after. `removed`: it had one that the file no longer names. */
export interface Applied {
  readonly outcome: 'created' | 'updated' | 'unchanged' | 'removed' | 'none';
  /** Somebody had changed the schedule outside (the UI can); it was set back to what the file says. */
  readonly drifted: boolean;
  readonly nextRunAt: string | null;
}

/** Makes the schedule of one job what its file says. Idempotent by name. Errors: the client's own. */
export async function applySchedule(access: TemporalAccess, submittable: SubmittableJob): Promise<Applied> {
  const { job } = submittable;
  const existing = await describe(access, job);
  const handle = access.client.schedule.getHandle(scheduleIdOf(job.kind, job.name));
  if (job.schedule === undefined) {
    if (existing !== null) await handle.delete();
    return { outcome: existing === null ? 'none' : 'removed', drifted: false, nextRunAt: null };
  }
  const options = scheduleOptions(submittable, job.schedule, access.target.taskQueue);
  if (existing === null) {
    await access.client.schedule.create(options);
    return { outcome: 'created', drifted: false, nextRunAt: await seal(access, job, options) };
  }
  const drifted = sealOf(existing) !== null && sealOf(existing) !== fingerprint(existing);
  const meant =
    existing.action.memo?.['definitionHash'] === submittable.definitionHash &&
    queuesText(existing.action.args?.[0]) === queuesText(submittable);
  const sameQueue = existing.action.taskQueue === access.target.taskQueue;
  if (meant && sameQueue && sealOf(existing) === fingerprint(existing)) {
    return { outcome: 'unchanged', drifted: false, nextRunAt: nextRunOf(existing) };
  }
  return { outcome: 'updated', drifted, nextRunAt: await seal(access, job, options) };
}

/**
 * The server keeps a schedule in a form of its own, so what was applied is remembered as a fingerprint of that form,
 * in the memo of the action: a later change by anybody else shows.
 */
async function seal(
  access: TemporalAccess,
  job: ResolvedJob,
  options: ScheduleOptions<Launch>,
): Promise<string | null> {
  const handle = access.client.schedule.getHandle(scheduleIdOf(job.kind, job.name));
  const { spec, policies = {}, state = {}, action } = options;
  await handle.update(() => ({ spec, policies, state, action }));
  const made = await handle.describe();
  const memo = { ...action.memo, [sealKey]: fingerprint(made) };
  await handle.update(() => ({ spec, policies, state, action: { ...action, memo } }));
  return nextRunOf(made);
}

/** Not part of the definition: they come from syncline.yaml. */
function queuesText(input: unknown): string {
  return canonicalJson((input as { readonly queues?: unknown } | undefined)?.queues ?? {});
}

const sealKey = 'appliedSchedule';

function sealOf({ action }: ScheduleDescription): string | null {
  const seal: unknown = action.memo?.[sealKey];
  return typeof seal === 'string' ? seal : null;
}

function fingerprint({ spec, action, policies, state }: ScheduleDescription): string {
  const { workflowType, workflowId, args, taskQueue } = action;
  const parts = { spec, policies, paused: state.paused, workflowType, workflowId, args, taskQueue };
  return createHash('sha256').update(canonicalJson(parts)).digest('hex').slice(0, 16);
}

function nextRunOf({ info }: ScheduleDescription): string | null {
  return info.nextActionTimes[0]?.toISOString() ?? null;
}

async function describe({ client }: TemporalAccess, job: ResolvedJob): Promise<ScheduleDescription | null> {
  try {
    return await client.schedule.getHandle(scheduleIdOf(job.kind, job.name)).describe();
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return null;
    throw error;
  }
}

type Launch = ScheduleOptionsStartWorkflowAction<Workflow>;

/** The launcher meets runs by hand on the job's id; the policy here only keeps launchers from piling up. */
const overlapPolicies: Readonly<Record<OverlapRule, ScheduleOverlapPolicy>> = {
  skip: 'SKIP',
  buffer: 'BUFFER_ONE',
  cancel: 'CANCEL_OTHER',
};

function scheduleOptions(
  submittable: SubmittableJob,
  schedule: ResolvedSchedule,
  taskQueue: string,
): ScheduleOptions<Launch> {
  const { job, definitionHash } = submittable;
  const input = launchInputOf(submittable);
  const { typedSearchAttributes, memo, staticSummary } = startOptions(taskQueue, input);
  return {
    scheduleId: scheduleIdOf(job.kind, job.name),
    spec: {
      cronExpressions: [schedule.cron ?? cronOf(schedule.calendar ?? {})],
      timezone: schedule.timezone,
      ...(schedule.startAt === undefined ? {} : { startAt: new Date(schedule.startAt) }),
      ...(schedule.endAt === undefined ? {} : { endAt: new Date(schedule.endAt) }),
    },
    action: {
      type: 'startWorkflow',
      workflowType: workflowTypes.launch,
      workflowId: launcherIdOf(job.kind, job.name),
      args: [input],
      taskQueue,
      memo,
      staticSummary,
      typedSearchAttributes,
    },
    policies: { overlap: overlapPolicies[schedule.overlap], catchupWindow: schedule.catchupMs },
    state: {
      paused: schedule.paused,
      note: `Applied by syncline, definition ${definitionHash.slice(0, 12)}`,
    },
    typedSearchAttributes,
  };
}

/** The server's cron has seven fields and the same words in each as a calendar. */
function cronOf(rule: CalendarRule): string {
  const { second = '0', minute = '0', hour = '0' } = rule;
  const { dayOfMonth = '*', month = '*', dayOfWeek = '*', year = '*' } = rule;
  const fields = [second, minute, hour, dayOfMonth, month, dayOfWeek, year];
  return fields.map((field) => field.replaceAll(' ', '')).join(' ');
}
