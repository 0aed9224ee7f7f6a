import { CancellationScope, condition } from '@temporalio/workflow';
import type { CopyInput } from '../definitions/contracts/copy.ts';
import type {
  BegunLink,
  CutLink,
  Followed,
  LinkInput,
  PreparedLinkLoad,
} from '../definitions/contracts/duplication.ts';
import { linkJobOf, loadsOf } from '../planning/link-load.ts';
import { backoffMs, decideFailure, quickAttempts } from '../planning/retry-budget.ts';
import { type CallFailure, callFailureOf, failureWith } from './failures.ts';
import type { EarlyEnding, JobRun } from './job-run.ts';
import { loadPasses } from './load-pass.ts';
import { callOptions, cutting, linking } from './proxies.ts';
import { runStep, type StepEnd } from './steps.ts';

/**
 * The load of a copy with `consistent: true`: chunk by chunk as ever, while the log of the source is followed beside it, up
 * to a cut at which the target equals one instant. A run that ended half-way left its link behind, and goes on with it.
 * Answers the place of the instant.
 */
export async function loadConsistently(job: JobRun, input: CopyInput): Promise<StepEnd<string>> {
  const begun = await begin(job, input);
  if ('ending' in begun) return begun;
  const link = begun.value;
  const follow = new FollowBeside(job, link);
  try {
    if (job.ref === null) {
      const planned = await plan(job, link);
      if (planned !== null) return { ending: planned };
    }
    follow.start();
    const passed = await loadPasses(job);
    if (passed !== 'finished') return { ending: passed };
    if (job.totals.unitsSkipped > 0)
      throw failureWith('link.notConsistent', 'Chunks were skipped, so the target cannot be one instant.');
    job.step = 'finish';
  } finally {
    await follow.stop();
  }
  const cut = await runStep<CutLink>(job, {
    label: 'cut',
    summary: 'Follow the log to one instant',
    call: (options) => cutting.cutLink.executeWithOptions(options, [{ ...link, mode: job.policy.mode }]),
  });
  return 'ending' in cut ? cut : { value: cut.value.consistentAt };
}

/** After the last look at the ledger: slot and publication go. */
export async function endLink(job: JobRun, input: CopyInput): Promise<EarlyEnding | null> {
  const ended = await runStep(job, {
    label: 'end the log',
    summary: 'Drop slot and publication',
    call: (options) => cutting.endLink.executeWithOptions(options, [linkOf(job, input)]),
  });
  return 'ending' in ended ? ended.ending : null;
}

export function linkOf(job: JobRun, input: CopyInput, generation = 1): LinkInput {
  return { job: linkJobOf(input.job), target: input.job.target.store, run: job.run, generation };
}

async function begin(job: JobRun, input: CopyInput): Promise<StepEnd<LinkInput>> {
  const begun = await runStep<BegunLink>(job, {
    label: 'checkpoint',
    summary: 'Check both sides, begin to keep the log',
    call: (options) => linking.beginLink.executeWithOptions(options, [linkOf(job, input)]),
  });
  if ('ending' in begun) return begun;
  if (job.ref === null) job.warnings = [...job.warnings, ...begun.value.warnings];
  return { value: linkOf(job, input, begun.value.generation) };
}

async function plan(job: JobRun, link: LinkInput): Promise<EarlyEnding | null> {
  const load = loadsOf(link.generation);
  const planned = await runStep<PreparedLinkLoad>(job, {
    label: 'prepare',
    summary: 'Create tables and plan',
    call: (options) =>
      linking.prepareLinkLoad.executeWithOptions(options, [{ ...link, load, only: null, again: false }]),
  });
  if ('ending' in planned) return planned.ending;
  if (planned.value === null) throw failureWith('source.tableMissing', 'The job selects no table.');
  job.begin(planned.value, { again: false });
  return null;
}

const followForMs = 300_000;

/** Follows the log beside the load until it is stopped, so that the source need not keep it. Gives way to a pause. */
class FollowBeside {
  private readonly job: JobRun;
  private readonly link: LinkInput;
  private readonly scope = new CancellationScope();
  private running: Promise<void> = Promise.resolve();
  private stopped = false;
  private failure: CallFailure | null = null;

  constructor(job: JobRun, link: LinkInput) {
    this.job = job;
    this.link = link;
  }

  start(): void {
    this.running = this.scope.run(() => this.loop()).catch((error: unknown) => this.fail(error));
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.scope.cancel();
    this.job.touch();
    await this.running;
  }

  private async loop(): Promise<void> {
    const { job } = this;
    for (let failures = 0; !this.stopped && job.ending === null;) {
      await condition(() => this.stopped || job.ending !== null || !job.held);
      if (this.isOver) return;
      const followed = await this.once();
      if (followed === 'failed') failures = await this.afterFailure(failures);
      else failures = 0;
      job.touch();
    }
  }

  private get isOver(): boolean {
    return this.stopped || this.job.ending !== null;
  }

  private async once(): Promise<Followed['why'] | 'failed' | 'takenBack'> {
    const { job, link } = this;
    const { scope } = job;
    const name = { activityId: job.activityId('follow the log'), summary: 'Follow the log beside the load' };
    const { mode } = job.policy;
    const input = { ...link, mode, forMs: followForMs, planning: true } as const;
    try {
      const call = scope.run(() =>
        linking.followLog.executeWithOptions(callOptions(job, name, quickAttempts), [input]),
      );
      return (await call).why;
    } catch (error) {
      if (this.stopped || scope.consideredCancelled) return 'takenBack';
      this.failure = callFailureOf(error, quickAttempts);
      return 'failed';
    }
  }

  private async afterFailure(before: number): Promise<number> {
    const { job, failure } = this;
    if (failure === null) return 0;
    const { code, message } = failure;
    const attempts = before + Math.max(1, failure.attempts);
    const decision = decideFailure({ code, attempts }, job.policy);
    if (decision.next === 'wait') {
      job.stepTrouble = { code, message, attempts };
      job.publish();
      await condition(() => this.isOver, backoffMs(attempts, job.policy));
      return attempts;
    }
    job.stopped ??= { code, message };
    job.touch();
    return 0;
  }

  private fail(error: unknown): void {
    if (this.stopped) return;
    this.job.fatal = {
      ...{ code: 'internal.unexpected', attempts: 1, details: [] },
      message: error instanceof Error ? error.message : 'The log could not be followed.',
    };
    this.job.touch();
  }
}
