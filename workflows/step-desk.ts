import type { CancellationScope } from '@temporalio/workflow';
import type { Trouble } from '../planning/progress.ts';
import type { EarlyEnding, JobRun, Place } from './job-run.ts';
import type { StepHost } from './steps.ts';

export interface DeskStart {
  /** Whose pause, stop and policy hold. */
  readonly load: JobRun;
  activityId(label: string): string;
  /** What ends the steps taken here. */
  ending(): EarlyEnding | null;
}

/** Where steps of a link are taken one after another, beside its load and beside those of the other desks. */
export class StepDesk implements StepHost {
  stepTrouble: Trouble | null = null;
  /** When the call that is out was begun, ms since 1970. */
  since = 0;
  private running = false;
  private readonly start: DeskStart;

  constructor(start: DeskStart) {
    this.start = start;
  }

  get stepRunning(): boolean {
    return this.running;
  }

  set stepRunning(running: boolean) {
    this.running = running;
    this.since = Date.now();
  }

  get stopped(): JobRun['stopped'] {
    return this.start.load.stopped;
  }

  set stopped(why: JobRun['stopped']) {
    this.start.load.stopped = why;
  }

  get ending(): EarlyEnding | null {
    return this.start.ending();
  }

  get held(): boolean {
    const { load } = this.start;
    return load.paused || load.stopped !== null || this.ending !== null;
  }

  get scope(): CancellationScope {
    return this.start.load.scope;
  }

  get policy(): JobRun['policy'] {
    return this.start.load.policy;
  }

  get place(): Place {
    return this.start.load.place;
  }

  get wakes(): number {
    return this.start.load.wakes;
  }

  activityId(label: string): string {
    return this.start.activityId(label);
  }

  publish(): void {
    this.start.load.publish();
  }

  touch(): void {
    this.start.load.touch();
  }

  noteSite(code: Parameters<JobRun['noteSite']>[0]): void {
    this.start.load.noteSite(code);
  }
}
