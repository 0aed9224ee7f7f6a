import type { WorkflowExecutionDescription } from '@temporalio/client';
import type { LinkStatus } from '../../definitions/contracts/duplication.ts';
import type { JobResult } from '../../definitions/contracts/jobs.ts';
import type { BackupStage } from '../../definitions/contracts/job.ts';
import { messageNames, searchAttributes } from '../../definitions/contracts/names.ts';
import type { JobPhase, JobState, JobStatus } from '../../definitions/contracts/status.ts';
import { skippedReason } from '../../planning/progress.ts';
import type { LedgerTotals } from '../../stores/spi/load-ledger.ts';
import type { TemporalAccess } from '../connection.ts';
import { attribute, describeExisting, type JobAddress } from './job-address.ts';
import { liveLinks, withLiveLinks, worstOf } from './link-heartbeats.ts';
import { type Outcome, outcomeOf, skippedUnits } from './outcome.ts';
import { translated } from './temporal-errors.ts';
import { hasWorker } from './workers.ts';

/** What the ledger on the target knows of the latest load; null when it cannot be asked. */
export type AskLedger = () => Promise<
  | (LedgerTotals & {
      readonly units: number;
      readonly plannedBytes: number;
      /** Which stage they speak of; absent for a kind without stages. */
      readonly stage?: BackupStage;
      /** Of a duplication. */
      readonly links?: readonly LinkStatus[];
    })
  | null
>;

const queryTimeoutMs = 5_000;

/**
 * The status, from the best source that answers: the running workflow, the result of a finished one, or what
 * Temporal's visibility and the target's ledger say. Errors: `job.notFound`, `temporal.*`.
 */
export async function readStatus(
  access: TemporalAccess,
  address: JobAddress,
  askLedger: AskLedger,
): Promise<JobStatus> {
  const description = await describeExisting(access, address);
  const running = description.status.name === 'RUNNING';
  const ended = running ? null : await endOf(access, address, description);
  const answered = (await hasWorker(access, description.taskQueue))
    ? await queryStatus(access, address)
    : null;
  if (answered !== null && ended === null)
    return withLiveLinks(answered, liveLinks(description.raw.pendingActivities ?? []), Date.now());
  if (answered !== null && ended !== null) return withEnd(answered, description, ended);
  if (ended?.kind === 'result') return ofResult(description, ended.result, address);
  const status = ofLedger(description, address, await askLedger());
  if (ended !== null) return withEnd(status, description, ended);
  const reason = `No worker answers on task queue "${description.taskQueue}"; this is what the ledger says.`;
  return { ...status, needsAttention: true, reason, reasonCode: 'job.noWorker' };
}

/** Null when nobody answers in time. */
export async function queryStatus(access: TemporalAccess, address: JobAddress): Promise<JobStatus | null> {
  const handle = access.client.workflow.getHandle(address.workflowId);
  try {
    return await access.connection.withDeadline(Date.now() + queryTimeoutMs, () =>
      handle.query<JobStatus>(messageNames.status),
    );
  } catch {
    // Whatever the reason, the other sources still answer.
    return null;
  }
}

async function endOf(
  access: TemporalAccess,
  address: JobAddress,
  description: WorkflowExecutionDescription,
): Promise<Outcome> {
  const handle = access.client.workflow.getHandle(address.workflowId, description.runId);
  try {
    return await outcomeOf(handle.result() as Promise<JobResult>);
  } catch (error) {
    throw translated(error, { target: access.target, job: address.name });
  }
}

function withEnd(status: JobStatus, description: WorkflowExecutionDescription, ended: Outcome): JobStatus {
  const endedAt = description.closeTime?.toISOString() ?? null;
  if (ended.kind === 'result')
    return { ...status, state: ended.result.state, phase: ended.result.state, endedAt };
  const code = ended.kind === 'failed' ? ended.code : null;
  return {
    ...status,
    state: 'failed',
    needsAttention: true,
    reason: ended.message,
    reasonCode: code,
    endedAt,
  };
}

function ofResult(
  description: WorkflowExecutionDescription,
  result: JobResult,
  address: JobAddress,
): JobStatus {
  const { chunks, rows, bytes, state } = result;
  const stages = 'stages' in result ? result.stages : undefined;
  const skipped = skippedUnits(result);
  return {
    ...blank(description, address),
    phase: state,
    state,
    needsAttention: skipped > 0,
    reason: skipped > 0 ? skippedReason(address.name, skipped) : null,
    chunks: { ...chunks, inFlight: 0 },
    rows: { read: rows, written: rows, skipped: 0 },
    bytes,
    plannedBytes: bytes,
    endedAt: description.closeTime?.toISOString() ?? null,
    ...(stages === undefined ? {} : { stages }),
  };
}

function ofLedger(
  description: WorkflowExecutionDescription,
  address: JobAddress,
  totals: Awaited<ReturnType<AskLedger>>,
): JobStatus {
  const status = blank(description, address);
  if (totals === null) return status;
  const { units, unitsDone, unitsSkipped, rows, rowsHidden, bytes, plannedBytes, stage, links } = totals;
  return {
    ...status,
    chunks: { total: units, done: unitsDone, skipped: unitsSkipped, inFlight: 0 },
    rows: { read: rows + rowsHidden, written: rows, skipped: rowsHidden },
    bytes,
    plannedBytes,
    ...(stage === undefined ? {} : { stage }),
    ...(links === undefined ? {} : { links, ...worstOf(links, status) }),
  };
}

/** What visibility alone knows. */
function blank(description: WorkflowExecutionDescription, { name, kind }: JobAddress): JobStatus {
  return {
    name,
    kind,
    phase: (attribute(description, searchAttributes.phase) ?? 'init') as JobPhase,
    state: (attribute(description, searchAttributes.state) ?? 'unknown') as JobState,
    needsAttention: false,
    reason: null,
    reasonCode: null,
    chunks: { total: 0, done: 0, skipped: 0, inFlight: 0 },
    rows: { read: 0, written: 0, skipped: 0 },
    bytes: 0,
    plannedBytes: 0,
    lagMs: null,
    lagBytes: null,
    position: null,
    consistentAt: null,
    startedAt: description.startTime.toISOString(),
    endedAt: null,
    onFailure: { mode: 'slow', attempts: 0 },
  };
}
