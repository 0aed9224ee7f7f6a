import { setCurrentDetails, workflowInfo } from '@temporalio/workflow';
import type {
  DuplicationCarried,
  DuplicationInput,
  DuplicationResult,
} from '../definitions/contracts/duplication.ts';
import type { ResolvedDuplicationJob } from '../definitions/contracts/job.ts';
import type { JobStatus } from '../definitions/contracts/status.ts';
import { duplicationStatusOf } from '../planning/duplication-status.ts';
import { nextDeadline } from '../planning/link-deadlines.ts';
import { addTotals, noPlan, sumPlans } from '../planning/link-totals.ts';
import { noTotals } from '../planning/progress.ts';
import { Alarm } from './alarm.ts';
import type { CallFailure } from './failures.ts';
import { linkDetailsOf } from './link-details.ts';
import { LinkRun } from './link-run.ts';
import { underwayOf, viewOf } from './link-view.ts';
import { publishAttributes } from './search-attributes.ts';

/** Below the 4,096 events at which a server suggests it, with room for loads that are still in flight. */
const longHistory = 3_000;
const eventsPerCall = 6;
const detailsEveryMs = 1_000;

/** One run of a duplication: its links, and what they share. */
export class DuplicationRun {
  readonly job: ResolvedDuplicationJob;
  readonly run: string;
  readonly startedAt: string;
  readonly links: readonly LinkRun[];
  /** Everything is about to go on in a new run: the follows, too, have been called back. */
  leaving = false;
  /** Ends the job without result. */
  failure: CallFailure | null = null;
  private drains = false;
  private ended: 'done' | 'removed' | 'failed' | null = null;
  private endedAt: string | null = null;
  private endNote: string | null = null;
  private readonly namesUsed = new Map<string, number>();
  private readonly alarm = new Alarm('Next look at the deadlines of the links', () => this.publish());
  private detailsAt = 0;
  private shown = '';

  constructor(input: DuplicationInput) {
    const info = workflowInfo();
    this.job = input.job;
    this.run = input.carried?.run ?? info.firstExecutionRunId;
    this.startedAt = input.carried?.startedAt ?? info.startTime.toISOString();
    this.links = input.job.targets.map(({ store }) => new LinkRun(this, store, input));
  }

  /** Of one target, or all; empty when there is no such target. */
  linksOf(target: string | undefined): readonly LinkRun[] {
    return target === undefined ? this.links : this.links.filter((link) => link.target === target);
  }

  /** Unique over all links: pending activities must not share an id. After continue-as-new counting begins anew. */
  activityId(label: string): string {
    const id = label.slice(0, 200);
    const count = (this.namesUsed.get(id) ?? 0) + 1;
    this.namesUsed.set(id, count);
    return count === 1 ? id : `${id}~${count}`;
  }

  /**
   * The history is long: loads end what is in flight and begin nothing, while the log is followed still. What somebody
   * waits for who needs a link for itself comes first, since it may take long.
   */
  get draining(): boolean {
    if (!this.drains && this.historyIsLong && !this.links.some(({ turns }) => turns.isAlone))
      this.drains = true;
    return this.drains;
  }

  private get historyIsLong(): boolean {
    const { continueAsNewSuggested, historyLength } = workflowInfo();
    const parallel = this.links.reduce((sum, { load }) => sum + load.parallel, 0);
    return (
      continueAsNewSuggested ||
      historyLength > Math.max(longHistory / 3, longHistory - eventsPerCall * parallel)
    );
  }

  /** Nothing is in flight but what can be called back. */
  get mayLeave(): boolean {
    return this.draining && this.links.every(({ engaged, turns }) => engaged === 0 && !turns.isAlone);
  }

  get isOver(): boolean {
    return this.links.every(({ over }) => over);
  }

  /** All that is left are links whose removal could not be completed. */
  get onlyFailuresLeft(): boolean {
    return this.links.every((link) => link.ended !== null || link.isBeyondRemoval);
  }

  end(how: 'done' | 'removed' | 'failed', note: string | null = null): void {
    this.ended = how;
    this.endedAt = new Date().toISOString();
    this.endNote = note;
    this.publish();
  }

  get status(): JobStatus {
    return duplicationStatusOf({
      ...{ name: this.job.name, ended: this.ended, note: this.endNote },
      ...{ startedAt: this.startedAt, endedAt: this.endedAt },
      links: this.links.map((link) => viewOf(link, { failed: this.ended === 'failed' })),
    });
  }

  /** Shows the state in the UI: attributes when they differ, the table at most once a second. */
  publish(): void {
    for (const link of this.links) link.noteMovement();
    const { status } = this;
    publishAttributes(status);
    const now = Date.now();
    const next = nextDeadline(this.links.flatMap(underwayOf), now);
    if (next !== null && this.ended === null) this.alarm.setAtMost(next);
    const face = (status.links ?? []).map(({ phase, state, reason }) => `${phase} ${state} ${reason ?? ''}`);
    const shown = `${status.state} ${face.join('\n')}`;
    if (shown === this.shown && now - this.detailsAt < detailsEveryMs) return;
    this.shown = shown;
    this.detailsAt = now;
    setCurrentDetails(linkDetailsOf(status));
  }

  get result(): DuplicationResult {
    const { job, links, startedAt } = this;
    const loaded = links.map((link) => link.loaded);
    const totals = loaded.reduce((sum, one) => addTotals(sum, one.totals), noTotals);
    const plan = loaded.reduce((sum, one) => sumPlans(sum, one.plan), noPlan);
    return {
      ...{ name: job.name, kind: 'duplication', skipped: [] },
      state: links.every(({ ended }) => ended?.as === 'removed') ? 'removed' : 'done',
      chunks: { total: plan.units, done: totals.unitsDone, skipped: totals.unitsSkipped },
      rows: totals.rowsWritten,
      bytes: totals.bytes,
      ms: Date.now() - Date.parse(startedAt),
      warnings: links.flatMap(({ load, ended }) => [...load.warnings, ...(ended?.warnings ?? [])]),
      links: links.flatMap(({ target, ended }) =>
        ended === null ? [] : [{ target, as: ended.as, leftBehind: ended.leftBehind }],
      ),
    };
  }

  get carried(): DuplicationCarried {
    const { run, startedAt, links } = this;
    return { run, startedAt, links: links.map(({ carried }) => carried) };
  }
}
