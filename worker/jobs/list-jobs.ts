import type { WorkflowExecutionInfo } from '@temporalio/client';
import { jobKinds } from '../../definitions/contracts/job.ts';
import { searchAttributes, workflowTypes } from '../../definitions/contracts/names.ts';
import type { TemporalAccess } from '../connection.ts';
import { addressOfId, attribute, type JobAddress } from './job-address.ts';

/** A job as visibility knows it: its latest run, and when its schedule starts the next. */
export interface ListedJob {
  readonly name: string;
  readonly kind: string;
  readonly state: string;
  readonly phase: string | null;
  readonly needsAttention: boolean;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  readonly nextRunAt: string | null;
}

/** At most so many, those with the newest runs first, then those that have a schedule only. */
export async function listJobs(access: TemporalAccess, limit: number): Promise<readonly ListedJob[]> {
  const nextRuns = await scheduledRuns(access);
  const jobs = await latestRuns(access, limit, nextRuns);
  for (const [id, nextRunAt] of nextRuns) {
    const address = addressOfId(id);
    if (address === null || jobs.has(id) || jobs.size >= limit) continue;
    jobs.set(id, { ...neverRan, kind: address.kind, name: address.name, nextRunAt });
  }
  return [...jobs.values()];
}

const neverRan = { state: 'scheduled', phase: null, needsAttention: false, startedAt: null, endedAt: null };

/** Visibility gives the newest first, so the first of each id is the latest. */
async function latestRuns(
  { client }: TemporalAccess,
  limit: number,
  nextRuns: ReadonlyMap<string, string | null>,
): Promise<Map<string, ListedJob>> {
  const jobs = new Map<string, ListedJob>();
  const types = jobKinds.map((kind) => `'${workflowTypes[kind]}'`).join(', ');
  for await (const run of client.workflow.list({ query: `WorkflowType IN (${types})` })) {
    const id = run.workflowId;
    const address = addressOfId(id);
    if (address !== null && !jobs.has(id)) jobs.set(id, listed(run, address, nextRuns.get(id) ?? null));
    if (jobs.size >= limit) break;
  }
  return jobs;
}

const endStates: Readonly<Record<string, string>> = {
  FAILED: 'failed',
  TIMED_OUT: 'failed',
  TERMINATED: 'terminated',
  CANCELLED: 'cancelled',
};

function listed(run: WorkflowExecutionInfo, { kind, name }: JobAddress, nextRunAt: string | null): ListedJob {
  return {
    name,
    kind,
    state:
      endStates[run.status.name] ?? attribute(run, searchAttributes.state) ?? run.status.name.toLowerCase(),
    phase: attribute(run, searchAttributes.phase) ?? null,
    needsAttention: attribute(run, searchAttributes.needsAttention) === 'true',
    startedAt: run.startTime.toISOString(),
    endedAt: run.closeTime?.toISOString() ?? null,
    nextRunAt,
  };
}

/** By workflow id, which is the schedule's id too. */
async function scheduledRuns({ client }: TemporalAccess): Promise<Map<string, string | null>> {
  const found = new Map<string, string | null>();
  for await (const { scheduleId, info, state } of client.schedule.list()) {
    if (addressOfId(scheduleId) === null) continue;
    found.set(scheduleId, state.paused ? null : (info.nextActionTimes[0]?.toISOString() ?? null));
  }
  return found;
}
