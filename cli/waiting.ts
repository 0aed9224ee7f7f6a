import { setTimeout as delay } from 'node:timers/promises';
import { defaultPayloadConverter } from '@temporalio/common';
import type { LoadHeartbeat } from '../definitions/contracts/copy.ts';
import type { JobStatus } from '../definitions/contracts/status.ts';
import { errorTable } from '../definitions/errors.ts';
import type { TemporalAccess } from '../worker/connection.ts';
import type { Submitted } from './client.ts';
import type { JobAddress } from '../worker/jobs/job-address.ts';
import { queryStatus } from '../worker/jobs/job-status.ts';
import { isSettled, type WaitOutcome } from './settled.ts';
import type { AwaitedRuns } from './wait-for-runs.ts';
import { type Outcome, outcomeOf } from '../worker/jobs/outcome.ts';
import type { ProgressSample } from './render/progress.ts';
import { isTimeout, isUnavailable } from '../worker/jobs/temporal-errors.ts';

export interface Watched {
  /** Null: Temporal was away for too long, or the wait was given up. */
  readonly outcome: WaitOutcome | null;
  readonly status: JobStatus | null;
}

export interface Watching {
  readonly submitted: Submitted;
  readonly everyMs: number;
  readonly until: AwaitedRuns['until'];
  /** Gives up waiting; the run goes on. */
  readonly signal: AbortSignal;
  readonly onSample?: (sample: ProgressSample) => void;
}

/** Waits for the end of a run and samples it meanwhile. */
export async function watchRun(access: TemporalAccess, watching: Watching): Promise<Watched> {
  const { submitted, signal } = watching;
  const sampling = new AbortController();
  const sampler = new Sampler(access, watching);
  const samples = sampler.run(AbortSignal.any([signal, sampling.signal]));
  const outcome = await Promise.race([patientOutcome(submitted, signal), aborted(signal), sampler.standing]);
  sampling.abort();
  if (outcome !== null) await samples;
  if (outcome !== null && outcome.kind !== 'result' && outcome.kind !== 'settled') await sampler.last();
  return { outcome, status: sampler.status };
}

const patienceMs = 5 * 60_000;

/** A Temporal server that restarts does not end the wait. */
async function patientOutcome(submitted: Submitted, signal: AbortSignal): Promise<Outcome | null> {
  let awaySince: number | null = null;
  for (;;) {
    try {
      return await outcomeOf(submitted.result());
    } catch (error) {
      if (!isUnavailable(error) && !isTimeout(error)) throw error;
      awaySince ??= Date.now();
      if (signal.aborted || Date.now() - awaySince > patienceMs) return null;
      await delay(1_000);
    }
  }
}

async function aborted(signal: AbortSignal): Promise<null> {
  if (signal.aborted) return null;
  return await new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(null), { once: true });
  });
}

class Sampler {
  status: JobStatus | null = null;
  /** Resolves when fail mode `stop` has acted, or a duplication is consistent. */
  readonly standing: Promise<WaitOutcome>;
  private found: (outcome: WaitOutcome) => void = () => undefined;
  private readonly access: TemporalAccess;
  private readonly watching: Watching;
  private stage: { readonly steps: number; readonly sinceMs: number } | null = null;

  constructor(access: TemporalAccess, watching: Watching) {
    this.access = access;
    this.watching = watching;
    this.standing = new Promise((resolve) => {
      this.found = resolve;
    });
  }

  async run(signal: AbortSignal): Promise<void> {
    const { everyMs, onSample } = this.watching;
    if (onSample === undefined) return;
    while (!signal.aborted) {
      await this.sample(onSample, signal);
      await delay(everyMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** A run without result is described by its last status. */
  async last(): Promise<void> {
    this.status = (await queryStatus(this.access, this.watching.submitted.address)) ?? this.status;
  }

  private async sample(onSample: (sample: ProgressSample) => void, signal: AbortSignal): Promise<void> {
    const { address } = this.watching.submitted;
    const status = await queryStatus(this.access, address);
    if (status === null || signal.aborted) return;
    this.status = status;
    if (status.state === 'stopped') this.found(stoppedOutcome(status));
    if (this.watching.until === 'settled' && isSettled(status)) this.found({ kind: 'settled', status });
    const inFlight = await heartbeats(this.access, address);
    onSample({ atMs: Date.now(), status, inFlight, ...this.stageSince(status) });
  }

  /** The first stage seen may have begun before anybody watched; any later one begins when it is first seen. */
  private stageSince({ stage, stages = [], startedAt }: JobStatus): Pick<ProgressSample, 'stageSinceMs'> {
    if (stage === undefined) return {};
    const steps = stages.filter(({ state }) => state === 'done').length;
    if (this.stage === null)
      this.stage = { steps, sinceMs: steps === 0 ? Date.parse(startedAt) : Date.now() };
    else if (this.stage.steps !== steps) this.stage = { steps, sinceMs: Date.now() };
    return { stageSinceMs: this.stage.sinceMs };
  }
}

function stoppedOutcome({ reason, reasonCode }: JobStatus): Outcome {
  const code = reasonCode ?? 'job.refused';
  return { kind: 'stopped', code, message: reason ?? 'The job stopped.', cure: errorTable[code].cure };
}

/** What units in flight report about themselves. */
async function heartbeats({ client }: TemporalAccess, address: JobAddress): Promise<LoadHeartbeat[]> {
  try {
    const { raw } = await client.workflow.getHandle(address.workflowId).describe();
    return (raw.pendingActivities ?? []).flatMap(({ heartbeatDetails }) => {
      const payload = heartbeatDetails?.payloads?.[0];
      const details: unknown = payload === undefined ? null : defaultPayloadConverter.fromPayload(payload);
      return isLoadHeartbeat(details) ? [details] : [];
    });
  } catch {
    // Progress is a courtesy: the outcome is waited for elsewhere.
    return [];
  }
}

function isLoadHeartbeat(value: unknown): value is LoadHeartbeat {
  return typeof value === 'object' && value !== null && 'rows' in value && 'bytes' in value;
}
