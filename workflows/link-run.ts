import type { CopyTotals, LoadRef, PlanTotals } from '../definitions/contracts/copy.ts';
import type {
  DuplicationInput,
  EndedLink,
  EndedLoad,
  Followed,
  LinkCarried,
  LinkInput,
  LinkProgress,
  LinkReason,
  LinkSide,
  LinkStep,
  WaitingLoad,
  WantedLoad,
} from '../definitions/contracts/duplication.ts';
import { followForMs, isLogLost } from '../planning/link-follow.ts';
import { addTotals, noPlan, sumPlans } from '../planning/link-totals.ts';
import { noTotals, type Trouble } from '../planning/progress.ts';
import { loadCalls } from './batch-calls.ts';
import type { DuplicationRun } from './duplication-run.ts';
import type { CallFailure } from './failures.ts';
import { release } from './job-control.ts';
import { JobRun } from './job-run.ts';
import { LinkTurns } from './link-turns.ts';
import { StepDesk } from './step-desk.ts';

/**
 * The state of one link, in one place: its loops change it, Updates change it, the status is derived from it.
 * `load` holds pause, stop, policy and the load under way; whoever changes something that a loop may wait for calls `touch`.
 */
export class LinkRun {
  readonly target: string;
  readonly owner: DuplicationRun;
  readonly load: JobRun;
  /** Steps that the whole link depends on; loads that are being planned beside others; the end by promotion. */
  readonly main: StepDesk;
  readonly planning: StepDesk;
  readonly promotion: StepDesk;
  /** Who writes for the link. */
  readonly turns: LinkTurns;

  step: LinkStep;
  generation: number;
  because: LinkReason | null;
  loads: number;
  loading: boolean;
  planned: boolean;
  first: LoadRef | null;
  wanted: readonly WantedLoad[];
  prepared: readonly WaitingLoad[];
  incomplete: readonly EndedLoad[];
  past: Omit<EndedLoad, 'load'>;
  completed: boolean;
  progress: LinkProgress | null;
  restart: LinkCarried['restart'];
  removal: LinkCarried['removal'];
  removalFailed: CallFailure | null;
  promoting: boolean;
  ended: LinkCarried['ended'];

  /** Loads that an operator asked for in this run and that could not be. */
  readonly refusals = new Map<string, CallFailure>();
  /** Tables that joined were refused: they are not looked at again before, ms since 1970. */
  tablesNotBefore = 0;
  /** It could not even begin: nothing of it is there, and a job of which this is all is over. */
  refused: CallFailure | null = null;
  /** The log was followed to its end for a promotion. */
  drained = false;
  /** Loops at work that nothing may cut off between two steps. */
  engaged = 0;

  followTrouble: Trouble | null = null;
  followFailures = 0;
  /** How long to wait before the log is followed again. */
  waitMs = 0;
  /** Follows since something changed, and follows in a row that ended at once. */
  quietFollows = 0;
  shortFollows = 0;
  lateReports = 0;
  loadMovedAt = Date.now();
  removalSince = Date.now();
  private unitsOver = 0;

  constructor(owner: DuplicationRun, target: string, input: DuplicationInput) {
    const carried = input.carried?.links.find((link) => link.target === target);
    this.owner = owner;
    this.target = target;
    this.step = carried?.step ?? 'init';
    this.generation = carried?.generation ?? 1;
    this.because = carried?.because ?? null;
    this.loads = carried?.loads ?? 0;
    this.loading = carried?.loading ?? false;
    this.planned = carried?.planned ?? false;
    this.first = carried?.first ?? null;
    this.wanted = carried?.wanted ?? [];
    this.prepared = carried?.prepared ?? [];
    this.incomplete = carried?.incomplete ?? [];
    this.past = carried?.past ?? nothingLoaded;
    this.completed = carried?.completed ?? false;
    this.progress = carried?.progress ?? null;
    this.restart = carried?.restart ?? null;
    this.promoting = carried?.promoting ?? false;
    this.ended = carried?.ended ?? null;
    const failed = carried?.removalFailed ?? null;
    this.removalFailed = failed === null ? null : { ...failed, attempts: 1, details: [] };
    this.removal =
      carried?.removal ?? (input.intent === 'remove' ? { abandon: input.abandon ?? null } : null);
    this.load = this.loadOf(input, carried);
    this.load.removeRequested = this.removal !== null;
    this.turns = new LinkTurns(this.load, () => this.held || this.followEnds);
    this.main = this.desk(() => this.load.ending);
    this.planning = this.desk(() => this.load.ending);
    this.promotion = this.desk(() => (this.followEnds ? 'continue' : null));
  }

  private loadOf({ job }: DuplicationInput, carried: LinkCarried | undefined): JobRun {
    const { owner, target } = this;
    const { checkpoint, createTables, ...run } = job.load;
    const letsGo = (): boolean =>
      this.owner.draining || this.restart !== null || this.ended !== null || this.removalFailed !== null;
    return new JobRun({
      ...{ kind: 'duplication', name: job.name, onFailure: job.onFailure, calls: loadCalls },
      run: { ...run, analyze: checkpoint && createTables },
      scheduledTime: undefined,
      carried: carried?.load,
      owner: {
        activityId: (label) => owner.activityId(owner.links.length > 1 ? `${target}: ${label}` : label),
        publish: () => owner.publish(),
        get letGo() {
          return letsGo();
        },
      },
    });
  }

  private desk(ending: StepDesk['start']['ending']): StepDesk {
    return new StepDesk({ load: this.load, activityId: (label) => this.owner.activityId(label), ending });
  }

  /** The address of the link, for every activity. */
  get address(): LinkInput {
    const { target, generation, owner } = this;
    return { job: owner.job, target, run: owner.run, generation };
  }

  touch(): void {
    this.load.touch();
  }

  /** An operator, or fail mode `stop`, holds the link. */
  get held(): boolean {
    return this.load.paused || this.load.stopped !== null;
  }

  /** Nothing of the link is to be done any more in this run. */
  get over(): boolean {
    if (this.ended !== null || this.owner.leaving || this.owner.failure !== null) return true;
    return this.load.cancelRequested && this.removal === null;
  }

  get followEnds(): boolean {
    return this.over || this.removal !== null || this.restart !== null || this.removalFailed !== null;
  }

  /** The link is there at the source: something is kept for it. */
  get begun(): boolean {
    return this.step === 'load' || this.step === 'log';
  }

  /** The source keeps its log for the link; a slot that is lost keeps nothing. */
  get isKept(): boolean {
    const { stopped } = this.load;
    return this.begun && (stopped === null || !isLogLost(stopped.code)) && this.removalFailed === null;
  }

  /** Tables that no load holds are being looked after. */
  get plansMore(): boolean {
    const looking = this.wanted.some(({ only, missing }) => only === null && !missing);
    return looking || Date.now() < this.tablesNotBefore;
  }

  /** Whether everything that the first load needs on the target can be made now. */
  get completes(): boolean {
    const consistent = (this.progress?.consistentAt ?? null) !== null;
    return consistent && this.planned && !this.completed && !this.loading && this.prepared.length === 0;
  }

  /** A call that a pause takes back is out. */
  get busy(): boolean {
    const { load, main, planning, promotion } = this;
    const steps = [load, main, planning, promotion].some(({ stepRunning }) => stepRunning);
    return steps || load.dispatch.inFlightBatches.length > 0 || this.turns.taken;
  }

  /** Its removal could not be completed, and nobody has asked for it again. */
  get isBeyondRemoval(): boolean {
    return this.removalFailed !== null && this.removal === null;
  }

  /** Puts a load in the line of those to be planned, and answers its identity. */
  want(load: Omit<WantedLoad, 'load'>): string {
    const id = `link:${this.generation}${this.loads === 0 ? '' : `/${this.loads}`}`;
    this.loads += 1;
    this.wanted = [...this.wanted, { ...load, load: id }];
    this.touch();
    return id;
  }

  /** A load that cannot be planned as things are: whoever asked for it is told, and tables that joined are left for a while. */
  drop(wanted: WantedLoad, refusal: CallFailure): void {
    const { code, message } = refusal;
    this.wanted = this.wanted.filter((other) => other !== wanted);
    if (wanted.alone) this.refusals.set(wanted.load, refusal);
    else {
      this.tablesNotBefore = Date.now() + refusedTablesMs;
      this.planning.stepTrouble = { code, message, attempts: 1 };
    }
    this.touch();
  }

  /** Loads that an operator asked for are over but for some units: those are loaded after all. */
  retryIncomplete(): void {
    const all = this.incomplete.map(({ load }) => load);
    this.incomplete = [];
    const again = { only: null, again: this.generation > 1, alone: false, missing: true };
    this.wanted = [...this.wanted, ...all.map((load) => ({ ...again, load }))];
    this.touch();
  }

  /** Goes on after a pause or a stop; a log that is lost means that everything is loaded again. */
  resume(): void {
    const { load } = this;
    const { stopped } = load;
    load.paused = false;
    load.pauseReason = null;
    this.turns.interrupt();
    this.followTrouble = null;
    this.followFailures = 0;
    this.quietFollows = 0;
    if (stopped !== null && isLogLost(stopped.code)) this.beginAgain(stopped);
    else release(load);
  }

  /** Everything that waits for another attempt is tried at once. */
  wake(): void {
    this.tablesNotBefore = 0;
    this.load.dispatch.wake(Date.now(), { freshBudget: false });
    this.load.wakes += 1;
    this.touch();
  }

  remove(abandon: LinkSide | null): void {
    this.removal = { abandon };
    this.removalFailed = null;
    this.removalSince = Date.now();
    this.load.removeRequested = true;
    this.load.interrupt();
    this.touch();
  }

  /** Tables or partitions are there that no load holds: the next plan takes them all. */
  wantNewTables(): void {
    // The plan that is being made may have looked before they came, so one more is made after it.
    if (Date.now() < this.tablesNotBefore) return;
    const waiting = this.wanted.filter(({ only, missing }) => only === null && !missing);
    if (waiting.length > (this.planning.stepRunning ? 1 : 0)) return;
    this.want({ only: null, again: this.generation > 1, alone: false, missing: false });
  }

  /** Takes the next planned load up. */
  beginLoad({ prepared, again, missing }: WaitingLoad): void {
    const { load } = this;
    load.beginStage(loadCalls, {});
    load.onlyChanged = again;
    load.begin(prepared, { again: missing });
    this.loading = true;
    this.loadMovedAt = Date.now();
  }

  endLoad(): void {
    const { load } = this;
    const ended = { totals: load.totals, plan: load.plan ?? noPlan };
    this.loading = false;
    this.loadMovedAt = Date.now();
    if (load.totals.unitsSkipped > 0 && load.ref !== null) {
      this.incomplete = [...this.incomplete, { load: load.ref.load, ...ended }];
    } else {
      this.past = {
        totals: addTotals(this.past.totals, ended.totals),
        plan: sumPlans(this.past.plan, ended.plan),
      };
    }
    this.touch();
  }

  /** Everything is loaded again from a new place in the log; a stop is over with it. */
  beginAgain(because: LinkReason | null): void {
    this.restart = { because };
    this.load.stopped = null;
    this.load.interrupt();
    this.touch();
  }

  /** Only when none of its loops is at work. */
  beginGeneration(): void {
    this.because = this.restart?.because ?? null;
    this.restart = null;
    this.generation += 1;
    this.step = 'checkpoint';
    this.loads = 0;
    this.loading = false;
    this.planned = false;
    this.first = null;
    this.wanted = [];
    this.prepared = [];
    this.incomplete = [];
    this.past = nothingLoaded;
    this.completed = false;
    this.progress = null;
    this.drained = false;
    this.promoting = false;
    this.followTrouble = null;
    this.followFailures = 0;
    this.load.beginStage(loadCalls, {});
  }

  /** Called whenever something is shown: a load that ends no unit for long says so. */
  noteMovement(): void {
    const { totals } = this.load;
    const over = totals.unitsDone + totals.unitsSkipped;
    if (over !== this.unitsOver) this.loadMovedAt = Date.now();
    this.unitsOver = over;
  }

  note(progress: LinkProgress): void {
    const late = progress.lagMs !== null && progress.lagMs > this.owner.job.log.laggingAfterMs;
    this.lateReports = late ? this.lateReports + 1 : 0;
    this.progress = progress;
    this.touch();
  }

  noteFollowed({ progress, why }: Followed, tookMs: { readonly short: boolean }): void {
    this.followTrouble = null;
    this.followFailures = 0;
    this.quietFollows = why === 'due' ? this.quietFollows + 1 : 0;
    this.shortFollows = tookMs.short ? this.shortFollows + 1 : 0;
    this.note(progress);
  }

  get forMs(): number {
    return followForMs(this.quietFollows, { loading: this.step !== 'log' });
  }

  end(as: 'promoted' | 'removed', { leftBehind, warnings }: EndedLink): void {
    this.ended = { as, leftBehind, warnings };
    this.removal = null;
    this.touch();
    this.owner.publish();
  }

  /** Of all loads of the generation. */
  get loaded(): { readonly totals: CopyTotals; readonly plan: PlanTotals } {
    const { load, loading, incomplete, past } = this;
    const present = loading ? [{ totals: load.totals, plan: load.plan ?? noPlan }] : [];
    return [...incomplete, ...present].reduce(
      (sum, { totals, plan }) => ({ totals: addTotals(sum.totals, totals), plan: sumPlans(sum.plan, plan) }),
      past,
    );
  }

  get carried(): LinkCarried {
    const { target, step, generation, because, loads, loading, planned, first, wanted, prepared } = this;
    const { incomplete, past, completed, progress, restart, removal, removalFailed, promoting, ended } = this;
    return {
      ...{ target, step, generation, because, loads, loading, planned, first, wanted, prepared },
      ...{ incomplete, past, completed, progress, restart, removal, promoting, ended },
      load: this.load.carried,
      removalFailed:
        removalFailed === null ? null : { code: removalFailed.code, message: removalFailed.message },
    };
  }
}

/** How long tables that joined and cannot be carried are left alone; `retry` looks at once. */
const refusedTablesMs = 5 * 60_000;

const nothingLoaded: Omit<EndedLoad, 'load'> = { totals: noTotals, plan: noPlan };
