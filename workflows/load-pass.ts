import { condition } from '@temporalio/workflow';
import type { UnitFailure } from '../definitions/contracts/copy.ts';
import { type DueBatch, type Taken } from '../planning/dispatch.ts';
import { addResult, addSkipped } from '../planning/progress.ts';
import { decideFailure, halves, holdsBackNewWork } from '../planning/retry-budget.ts';
import { Alarm } from './alarm.ts';
import { ChunkWindow, type FailedOutcome, type Outcome } from './chunk-window.ts';
import type { Ending, JobRun } from './job-run.ts';
import { type CallFailure, callFailureOf } from './failures.ts';

const pageLimit = 50;

/** The ordinary pass, then one over the dead letters for each time that somebody asks for it. */
export async function loadPasses(job: JobRun): Promise<Ending> {
  job.step = 'load';
  for (;;) {
    const ending = await loadPass(job);
    if (ending !== 'finished' || !job.retryRequested) return ending;
    job.beginRetryPass();
  }
}

/**
 * One pass over the plan (or over its dead letters): takes in what ended, starts what may start, waits for a change.
 * Returns only when nothing is in flight.
 */
async function loadPass(job: JobRun): Promise<Ending> {
  const pass = new LoadPass(job);
  for (;;) {
    pass.absorb();
    const ending = pass.ending();
    if (ending !== null) return ending;
    if (!job.held) pass.startWhatMayGo();
    job.publish();
    const { changes } = job;
    await condition(() => job.changes !== changes);
  }
}

class LoadPass {
  private readonly job: JobRun;
  private readonly window: ChunkWindow;
  private readonly alarm: Alarm;
  private listFailures = 0;
  private listNotBefore = 0;
  private listWakes = 0;

  constructor(job: JobRun) {
    this.job = job;
    this.window = new ChunkWindow(job);
    this.alarm = new Alarm('Next attempt', () => job.touch());
  }

  ending(): Ending | null {
    const { job } = this;
    if (this.window.size > 0) return null;
    if (job.ending !== null) return job.ending;
    return !job.held && job.dispatch.finished ? 'finished' : null;
  }

  absorb(): void {
    for (const outcome of this.window.settled()) this.absorbOne(outcome);
  }

  startWhatMayGo(): void {
    const { job } = this;
    const now = Date.now();
    const limits = {
      parallel: job.parallel,
      holdNew: holdsBackNewWork(job.dispatch.waitingBatches, job.parallel),
    };
    for (let next = job.dispatch.take(now, limits); next !== null; next = job.dispatch.take(now, limits)) {
      this.launch(next);
    }
    this.listMore(now, limits.holdNew);
    const due = job.dispatch.nextDue(now);
    if (due !== null) this.alarm.setAtMost(due);
  }

  private listMore(now: number, holdNew: boolean): void {
    const after = this.job.dispatch.listAfter(this.job.parallel);
    if (after === null || holdNew || this.window.listing) return;
    if (this.listNotBefore <= now || this.listWakes !== this.job.wakes) this.window.list(after, pageLimit);
    else this.alarm.setAtMost(this.listNotBefore);
  }

  private launch({ item, doomed }: Taken): void {
    const failure = this.setAsideAs(item, doomed);
    if (failure === null) this.window.load(item);
    else this.window.skip(item, failure);
  }

  /** The dead letter to write instead of trying; null to try. */
  private setAsideAs(item: DueBatch, doomed: Taken['doomed']): UnitFailure | null {
    const { batch, code, message, attempts } = item;
    if (doomed !== null) {
      return {
        ordinal: batch.from,
        chunk: batch.label,
        code: doomed,
        message: 'A slice of this chunk was skipped.',
      };
    }
    if (code === null || batch.units > 1) return null;
    const skips =
      item.setAside === true || decideFailure({ code, attempts }, this.job.policy).next === 'skip';
    return skips ? { ordinal: batch.from, chunk: batch.label, code, message: message ?? code } : null;
  }

  private absorbOne(outcome: Outcome): void {
    const { job } = this;
    const pass = { retry: job.retryRound > 0 };
    switch (outcome.kind) {
      case 'page':
        this.listFailures = 0;
        job.stepTrouble = null;
        job.noteSite(null);
        job.dispatch.offer(outcome.page);
        return;
      case 'loaded':
        job.dispatch.settle(outcome.item.batch);
        job.noteSite(null);
        job.totals = addResult(job.totals, outcome.result, pass);
        for (const failure of outcome.result.failed) this.unitFailed(outcome.item, failure);
        return;
      case 'skipped':
        job.dispatch.settle(outcome.item.batch);
        job.totals = addSkipped(job.totals, pass);
        if (outcome.item.batch.kind === 'load') job.dispatch.noteSkipped(outcome.failure);
        return;
      case 'failed':
        if (outcome.item === null) this.listFailed(outcome);
        else this.callFailed(outcome, outcome.item);
    }
  }

  private callFailed(outcome: FailedOutcome, item: DueBatch): void {
    const { job } = this;
    const now = Date.now();
    if (outcome.interrupted) {
      job.dispatch.settle(item.batch);
      job.dispatch.wait({ ...item, dueAt: now });
      return;
    }
    const failure = callFailureOf(outcome.error, outcome.maximumAttempts);
    job.noteSite(failure.code);
    job.dispatch.settle(item.batch);
    if (outcome.what === 'skip') this.skipFailed(item, failure);
    else this.judge({ ...item, dueAt: now, ...failed(failure, item.attempts) });
  }

  /** One unit of a batch that went on past it: from now on it is on its own. */
  private unitFailed(item: DueBatch, failure: UnitFailure): void {
    const { batch } = item;
    const { ordinal, chunk, code, message } = failure;
    const bytes = Math.round(batch.bytes / batch.units);
    const single = { ...batch, from: ordinal, to: ordinal, units: 1, bytes, label: chunk };
    this.judge({ batch: single, attempts: 1, code, message, dueAt: Date.now() });
  }

  /** Decides what becomes of a batch that has just failed with the code it carries. */
  private judge(item: DueBatch): void {
    const { job } = this;
    const { code, attempts, batch } = item;
    if (code === null) return;
    const decision = decideFailure({ code, attempts }, job.policy);
    if (decision.next === 'wait') {
      job.dispatch.wait({ ...item, dueAt: item.dueAt + decision.waitMs });
    } else if (decision.next === 'skip' && batch.units > 1) {
      job.dispatch.putFirst(halves(item).map((half) => ({ ...half, dueAt: item.dueAt })));
    } else {
      // A unit to be skipped is found again at once, by its code and the policy.
      job.dispatch.wait(item);
      if (decision.next === 'stop') {
        job.stopped ??= { code, message: `${batch.label}: ${item.message ?? code}` };
      }
    }
  }

  /** The dead letter could not be written: nothing is skipped that is not on record, so it is tried again later. */
  private skipFailed(item: DueBatch, failure: CallFailure): void {
    const dueAt = Date.now() + this.job.policy.backoffMaxMs;
    const code = item.code ?? failure.code;
    this.job.dispatch.wait({ ...item, code, message: item.message ?? failure.message, dueAt });
  }

  private listFailed(outcome: FailedOutcome): void {
    if (outcome.interrupted) return;
    const { job } = this;
    const { code, message, attempts } = callFailureOf(outcome.error, outcome.maximumAttempts);
    job.noteSite(code);
    this.listFailures += attempts;
    const decision = decideFailure({ code, attempts: this.listFailures }, job.policy);
    job.stepTrouble = { code, message, attempts: this.listFailures };
    if (decision.next === 'wait') {
      this.listNotBefore = Date.now() + decision.waitMs;
      this.listWakes = job.wakes;
      return;
    }
    this.listFailures = 0;
    job.stopped ??= { code, message };
  }
}

function failed(failure: CallFailure, before: number): Pick<DueBatch, 'code' | 'message' | 'attempts'> {
  return { code: failure.code, message: failure.message, attempts: before + failure.attempts };
}
