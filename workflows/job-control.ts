import { condition, setHandler } from '@temporalio/workflow';
import type {
  ControlAnswer,
  LinkControlInput,
  PauseInput,
  RemoveInput,
  RetryInput,
  SetPolicyInput,
  SkipInput,
} from '../definitions/contracts/control.ts';
import type { DueBatch } from '../planning/dispatch.ts';
import type { JobRun } from './job-run.ts';
import { failureWith } from './failures.ts';
import {
  pauseUpdate,
  removeUpdate,
  resumeUpdate,
  retryUpdate,
  setPolicyUpdate,
  skipUpdate,
  statusQuery,
} from './messages.ts';

const failModes: readonly string[] = ['slow', 'skip', 'stop'];
/** Temporal's advice on concurrent activities of one workflow. */
const maxParallel = 500;

/** Wires Updates and Query to the state; call it before the first await. Handlers change state, loops act on it. */
export function wireControl(job: JobRun): void {
  setHandler(statusQuery, () => job.status, {
    description: 'Where the job is, what it has done, what it waits for.',
  });
  setHandler(pauseUpdate, (input: PauseInput) => pause(job, input), {
    description: 'Takes back what is in flight and starts nothing new. Argument: {"reason": text}, or none.',
    validator: (input: PauseInput) => validatePause(job, input),
  });
  setHandler(resumeUpdate, () => resume(job), {
    description: 'Goes on after pause, or after fail mode stop acted. No argument.',
    validator: (input: LinkControlInput) => {
      refuseUnlessWhole(input);
      refuseUnlessAlive(job);
      if (!job.paused && job.stopped === null) refuse('The job is neither paused nor stopped.');
    },
  });
  setHandler(skipUpdate, (input: SkipInput) => skip(job, input), {
    description:
      'Sets failing units aside as dead letters. Argument: {"unit": ordinal} or {"unit": "failing"}.',
    validator: (input: SkipInput) => validateSkip(job, input),
  });
  setHandler(retryUpdate, (input: RetryInput) => retry(job, input), {
    description:
      'Argument: {"what": "waiting"} tries waiting units at once, {"what": "skipped"} the dead letters again.',
    validator: (input: RetryInput) => validateRetry(job, input),
  });
  setHandler(removeUpdate, () => remove(job), {
    description: 'Ends the job and cleans up everything of it on both servers. No argument.',
    validator: (input: RemoveInput) => {
      refuseUnlessWhole(input);
      if (job.ended !== null) refuse('The job is over.');
    },
  });
  setHandler(setPolicyUpdate, (input: SetPolicyInput) => setPolicy(job, input), {
    description:
      'Argument: {"mode": "slow" | "skip" | "stop", "attempts": number, "parallel": number}, each optional.',
    validator: (input: SetPolicyInput) => validatePolicy(job, input),
  });
}

export function refuse(message: string): never {
  throw failureWith('job.refused', message);
}

/** The web UI sends an Update without argument, too. */
function refuseUnlessWhole(input: RemoveInput | undefined): void {
  if (input?.target === undefined && input?.abandon === undefined) return;
  refuse('Only a duplication has links of their own, and sides that can be abandoned.');
}

function refuseUnlessAlive(job: JobRun): void {
  if (job.ended !== null) refuse('The job is over.');
  if (job.removeRequested) refuse('The job is being removed.');
  if (job.cancelRequested) refuse('The job is being cancelled.');
}

function validatePause(job: JobRun, input: PauseInput | undefined): void {
  refuseUnlessAlive(job);
  const reason: unknown = input?.reason;
  if (reason !== undefined && typeof reason !== 'string') refuse('`reason` is a text.');
}

/** Answers when everything in flight has come back, or when somebody decided otherwise meanwhile. */
async function pause(job: JobRun, input: PauseInput | undefined): Promise<ControlAnswer> {
  if (job.paused) return { message: 'The job is paused already.' };
  job.paused = true;
  job.pauseReason = input?.reason ?? null;
  job.interrupt();
  job.touch();
  await condition(() => job.status.state !== 'running' || !isPausing(job));
  return {
    message: isPausing(job) ? 'The job is paused; nothing is in flight.' : 'The job went on meanwhile.',
  };
}

function isPausing(job: JobRun): boolean {
  return job.paused && !job.removeRequested && !job.cancelRequested;
}

function resume(job: JobRun): ControlAnswer {
  const wasStopped = job.stopped !== null;
  job.paused = false;
  job.pauseReason = null;
  release(job);
  return { message: wasStopped ? 'The job goes on; failing units have a fresh budget.' : 'The job goes on.' };
}

/** Ends a stop; what waits is tried again at once with a fresh budget. */
export function release(job: JobRun): void {
  if (job.stopped !== null) {
    job.stopped = null;
    job.stepTrouble = null;
    job.dispatch.wake(Date.now(), { freshBudget: true });
  }
  job.touch();
}

function isFailing(item: DueBatch): boolean {
  return item.code !== null && item.setAside !== true;
}

function concerns(item: DueBatch, unit: SkipInput['unit']): boolean {
  if (!isFailing(item)) return false;
  return unit === 'failing' || (item.batch.from <= unit && unit <= item.batch.to);
}

export function validateSkip(job: JobRun, input: SkipInput): void {
  refuseUnlessAlive(job);
  const { unit } = input;
  if (unit !== 'failing' && !Number.isSafeInteger(unit)) refuse('`unit` is an ordinal, or "failing".');
  if (job.dispatch.waitingBatches.some((item) => concerns(item, unit))) return;
  refuse(unit === 'failing' ? 'No unit is failing.' : `Unit ${unit} is not waiting with an error.`);
}

export function skip(job: JobRun, { unit }: SkipInput): ControlAnswer {
  const chosen = job.dispatch.remove((item) => concerns(item, unit));
  const pieces = chosen.flatMap((item) => piecesToSkip(item, unit));
  const skipped = pieces.filter(({ setAside }) => setAside === true).length;
  job.dispatch.putFirst(pieces);
  if (job.stopped !== null && !job.dispatch.waitingBatches.some(isFailing)) job.stopped = null;
  job.touch();
  const groups = chosen.filter(({ batch }) => unit === 'failing' && batch.units > 1).length;
  const rest =
    groups === 0 ? '' : ` ${groups} group(s) that failed as a whole are tried again in single units.`;
  return { message: `${skipped} unit(s) are set aside.${rest}` };
}

/**
 * A single unit is set aside. A batch that failed as a whole may hold good units: of it only the unit that was named
 * is set aside; without a name, its units are tried apart, and the bad ones can be skipped then.
 */
function piecesToSkip(item: DueBatch, unit: SkipInput['unit']): DueBatch[] {
  const { batch } = item;
  const now = Date.now();
  if (batch.units === 1) return [{ ...item, dueAt: now, setAside: true }];
  const named = unit === 'failing' ? null : unit;
  const parts =
    named === null
      ? everyUnit(batch)
      : [
          [batch.from, named - 1],
          [named, named],
          [named + 1, batch.to],
        ];
  return parts
    .map(([from = 0, to = 0]) => ({ from, to }))
    .filter(({ from, to }) => from <= to)
    .map(({ from, to }) => ({
      batch: {
        ...batch,
        from,
        to,
        units: to - from + 1,
        bytes: Math.round((batch.bytes * (to - from + 1)) / batch.units),
        label: `${batch.label} (${from === to ? from : `${from}–${to}`})`,
      },
      attempts: 0,
      code: from === named ? item.code : null,
      message: from === named ? item.message : null,
      dueAt: now,
      ...(from === named ? { setAside: true as const } : {}),
    }));
}

function everyUnit({ from, units }: DueBatch['batch']): number[][] {
  return Array.from({ length: units }, (_, index) => [from + index, from + index]);
}

function validateRetry(job: JobRun, input: RetryInput): void {
  refuseUnlessAlive(job);
  const what: string = input.what;
  if (what === 'waiting') return;
  if (what !== 'skipped') refuse('`what` is "skipped" or "waiting".');
  if (job.step === 'finish') refuse('The job is finishing; retry the skipped units when it is done.');
  if (job.totals.unitsSkipped === 0) refuse('Nothing was skipped.');
}

function retry(job: JobRun, { what }: RetryInput): ControlAnswer {
  if (what === 'skipped') {
    job.retryRequested = true;
    job.touch();
    return { message: `${job.totals.unitsSkipped} skipped unit(s) are tried again after the others.` };
  }
  const woken = job.dispatch.wake(Date.now(), { freshBudget: false });
  job.wakes += 1;
  job.touch();
  return { message: `${woken} waiting batch(es) are tried at once.` };
}

function remove(job: JobRun): ControlAnswer {
  if (job.removeRequested) return { message: 'The job is being removed already.' };
  job.removeRequested = true;
  job.interrupt();
  job.touch();
  return { message: 'The job is being removed: its clean-up on both servers has begun.' };
}

export function validatePolicy(job: JobRun, { mode, attempts, parallel }: SetPolicyInput): void {
  refuseUnlessAlive(job);
  if (mode === undefined && attempts === undefined && parallel === undefined) refuse('Nothing to change.');
  if (mode !== undefined && !failModes.includes(mode)) refuse('`mode` is slow, skip or stop.');
  if (attempts !== undefined && !(Number.isSafeInteger(attempts) && attempts >= 1)) {
    refuse('`attempts` is a whole number from 1.');
  }
  if (
    parallel !== undefined &&
    !(Number.isSafeInteger(parallel) && parallel >= 1 && parallel <= maxParallel)
  ) {
    refuse(`\`parallel\` is a whole number from 1 to ${maxParallel}.`);
  }
}

export function setPolicy(job: JobRun, { mode, attempts, parallel }: SetPolicyInput): ControlAnswer {
  job.policy = { ...job.policy, mode: mode ?? job.policy.mode, attempts: attempts ?? job.policy.attempts };
  job.parallel = parallel ?? job.parallel;
  job.touch();
  const { policy } = job;
  return {
    message: `On failure: ${policy.mode}, ${policy.attempts} attempts; ${job.parallel} at once.${
      job.stopped === null ? '' : ' The job is still stopped; resume it.'
    }`,
  };
}
