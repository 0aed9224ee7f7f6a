import { Command } from 'commander';
import type { WorkflowExecutionInfo } from '@temporalio/client';
import { jobKinds } from '../../definitions/contracts/job.ts';
import { searchAttributes, workflowTypes } from '../../definitions/contracts/names.ts';
import type { TemporalAccess } from '../../worker/connection.ts';
import { type CommandContext, type CommandResult, withContext } from '../context.ts';
import { addressOfId, attribute, type JobAddress } from '../job-address.ts';
import { type Column, tableLines } from '../render/table.ts';

export function listCommand(): Command {
  return new Command('list')
    .description('List the jobs of the namespace: latest run and next scheduled one.')
    .option('--limit <jobs>', 'how many jobs', (text) => Math.max(1, Number.parseInt(text, 10) || 1), 100)
    .action(withContext(list));
}

interface ListedJob {
  readonly name: string;
  readonly kind: string;
  readonly state: string;
  readonly phase: string | null;
  readonly needsAttention: boolean;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  readonly nextRunAt: string | null;
}

async function list(context: CommandContext, { limit }: { limit: number }): CommandResult {
  const { output } = context;
  const access = await context.temporal();
  const nextRuns = await scheduledRuns(access);
  const jobs = await latestRuns(access, limit, nextRuns);
  for (const [id, nextRunAt] of nextRuns) {
    const address = addressOfId(id);
    if (address === null || jobs.has(id) || jobs.size >= limit) continue;
    jobs.set(id, { ...neverRan, kind: address.kind, name: address.name, nextRunAt });
  }
  const rows = [...jobs.values()];
  output.value(rows);
  if (rows.length === 0) output.line('No jobs yet; `syncline run FILE` starts one.');
  else for (const line of tableLines(columns, rows)) output.line(line);
  return 0;
}

const neverRan = { state: 'scheduled', phase: null, needsAttention: false, startedAt: null, endedAt: null };

const columns: readonly Column<ListedJob>[] = [
  { title: 'JOB', text: ({ kind, name }) => `${kind}/${name}` },
  { title: 'STATE', text: ({ state, needsAttention }) => (needsAttention ? `${state}, attention` : state) },
  { title: 'STARTED', text: ({ startedAt }) => startedAt ?? '-' },
  { title: 'ENDED', text: ({ endedAt }) => endedAt ?? '-' },
  { title: 'NEXT', text: ({ nextRunAt }) => nextRunAt ?? '-' },
];

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
