import { ApplicationFailure, cancellationSignal, heartbeat } from '@temporalio/activity';
import type {
  LoadRef,
  LoadUnitsInput,
  LoadUnitsResult,
  PlanReport,
} from '../../definitions/contracts/copy.ts';
import type { CopyActivities } from '../../definitions/contracts/copy.ts';
import type {
  BegunLink,
  CutActivities,
  DuplicationActivities,
  EndedLink,
  Followed,
  FollowInput,
  LinkInput,
  LinkProgress,
  PreparedLinkLoad,
  PrepareLinkLoadInput,
  RemoveLinkInput,
  SetTableInput,
  VerifiedLink,
  VerifyLinkInput,
  WatchedLink,
} from '../../definitions/contracts/duplication.ts';
import { type ErrorCode, errorTable } from '../../definitions/errors.ts';
import { FakeCopy, type VirtualPlan, wholeChunks } from './fake-copy-activities.ts';

type Name = keyof DuplicationActivities | keyof CutActivities;

interface Fault {
  readonly code: ErrorCode;
  times: number;
}

/** One link as both servers would remember it; it outlives workers and workflows. */
export class FakeLink {
  generation = 0;
  progress: LinkProgress = noProgress;
  readonly loads = new Map<string, FakeCopy>();
  /** Names of the calls in order. */
  readonly calls: string[] = [];
  readonly follows: FollowInput[] = [];
  readonly plans: PrepareLinkLoadInput[] = [];
  readonly removals: RemoveLinkInput[] = [];
  readonly verifies: VerifyLinkInput['only'][] = [];
  /** Two that wrote at once, or one that followed while a chunk was being taken back. */
  overlaps = 0;
  /** What the follow under way, or the next one, ends with. */
  readonly says: Followed['why'][] = [];
  /** Rows for `verify`. */
  different: VerifiedLink['different'] = [];
  exceeded = false;
  /** The log of this generation cannot be followed any more. */
  lostGeneration: number | null = null;
  /** Loads that an earlier workflow has begun; see BegunLink.later. */
  later: BegunLink['later'] = undefined;
  plan: VirtualPlan = wholeChunks(3);
  /** Of loads that are planned from now on. */
  holdUnit: number | null = null;
  failUnit: { readonly ordinal: number; readonly code: ErrorCode } | null = null;
  private readonly faults = new Map<Name, Fault>();
  private readonly held = new Set<Name>();
  private readonly reached = new Set<Name>();
  private writers = 0;
  private positions = 0;

  fail(name: Name, code: ErrorCode, times = Number.POSITIVE_INFINITY): void {
    this.faults.set(name, { code, times });
  }

  cure(name: Name): void {
    this.faults.delete(name);
  }

  hold(name: Name): void {
    this.held.add(name);
  }

  release(name: Name): void {
    this.held.delete(name);
  }

  releaseUnit(): void {
    if (this.holdUnit !== null) for (const load of this.loads.values()) load.release(this.holdUnit);
    this.holdUnit = null;
  }

  isReached(name: Name): boolean {
    return this.reached.has(name);
  }

  get following(): boolean {
    return this.writers > 0;
  }

  count(call: string): number {
    return this.calls.filter((name) => name === call).length;
  }

  async call<T>(name: Name, answer: () => T | Promise<T>): Promise<T> {
    this.calls.push(name);
    this.reached.add(name);
    while (this.held.has(name)) await this.tick();
    const fault = this.faults.get(name);
    if (fault !== undefined && fault.times > 0) {
      fault.times -= 1;
      const nonRetryable = errorTable[fault.code].retry !== 'automatic';
      throw ApplicationFailure.create({ type: fault.code, message: `${name} fails as asked.`, nonRetryable });
    }
    return await answer();
  }

  /** As the one writer of the link. */
  async write<T>(name: Name, answer: () => T | Promise<T>): Promise<T> {
    this.writers += 1;
    if (this.writers > 1) this.overlaps += 1;
    try {
      return await this.call(name, answer);
    } finally {
      this.writers -= 1;
    }
  }

  /** Until something is to be said, or it is called back. */
  async follow({ forMs, drain, generation }: FollowInput): Promise<Followed> {
    const until = Date.now() + forMs;
    for (;;) {
      if (generation === this.lostGeneration)
        throw ApplicationFailure.nonRetryable('The slot is lost.', 'log.slotLost');
      const why = this.says.shift() ?? this.news(drain === true);
      if (why !== null) return { why, progress: this.moved() };
      if (Date.now() >= until) return { why: 'due', progress: this.moved() };
      await this.tick();
    }
  }

  moved(): LinkProgress {
    this.positions += 1;
    this.progress = { ...this.progress, position: `0/${this.positions}` };
    return this.progress;
  }

  private news(drain: boolean): Followed['why'] | null {
    const loaded = [...this.loads.values()].every((load) => load.committed === load.plan.units);
    if (loaded && this.loads.size > 0 && this.progress.consistentAt === null) {
      this.progress = { ...this.progress, consistentAt: '0/C' };
      return 'consistent';
    }
    return drain && loaded ? 'drained' : null;
  }

  private async tick(): Promise<void> {
    heartbeat({ doing: 'following' });
    await new Promise((resolve) => setTimeout(resolve, 10));
    const signal = cancellationSignal();
    if (signal.aborted) throw signal.reason as Error;
  }
}

/** DuplicationActivities and the load of CopyActivities, over links that exist only in memory. */
export class FakeDuplication {
  private readonly links = new Map<string, FakeLink>();

  link(target: string): FakeLink {
    const known = this.links.get(target);
    if (known !== undefined) return known;
    const made = new FakeLink();
    this.links.set(target, made);
    return made;
  }

  readonly activities: DuplicationActivities &
    CutActivities &
    Pick<
      CopyActivities,
      'listBatches' | 'loadUnits' | 'finishChunk' | 'skipUnit' | 'finishCopy' | 'removeCopy'
    > = {
    planDuplication: () => Promise.resolve(emptyReport),
    beginLink: (input) => this.on(input, (link) => link.call('beginLink', () => begun(link, input))),
    prepareLinkLoad: (input) =>
      this.on(input, (link) =>
        link.call('prepareLinkLoad', () => {
          if (input.only !== null && link.following) link.overlaps += 1;
          return prepared(link, input);
        }),
      ),
    followLog: (input) =>
      this.on(input, (link) => {
        link.follows.push(input);
        return link.write('followLog', () => link.follow(input));
      }),
    completeLink: (input) =>
      this.on(input, (link) => link.call('completeLink', () => ({ warnings: ['completed'] }))),
    watchLink: (input) => this.on(input, (link) => link.call('watchLink', () => watched(link))),
    setLinkTable: (input) =>
      this.on(input, (link) => link.write('setLinkTable', () => tableSet(link, input))),
    retryDeadTransactions: (input) =>
      this.on(input, (link) =>
        link.write('retryDeadTransactions', () => {
          const retried = link.progress.deadTransactions;
          link.progress = { ...link.progress, deadTransactions: 0 };
          return { retried, conflicts: 1, progress: link.moved() };
        }),
      ),
    verifyLink: (input) => this.on(input, (link) => link.write('verifyLink', () => verified(link, input))),
    promoteLink: (input) => this.on(input, (link) => link.write('promoteLink', () => ended('promoted'))),
    removeLink: (input) =>
      this.on(input, (link) => {
        link.removals.push(input);
        return link.call('removeLink', () => ended(input.abandon ?? 'removed'));
      }),
    cutLink: (input) =>
      this.on(input, (link) => link.write('cutLink', () => ({ consistentAt: link.moved().position }))),
    endLink: (input) => this.on(input, (link) => link.call('endLink', () => undefined)),
    finishCopy: (input) => this.load(input.ref).activities.finishCopy(input),
    removeCopy: () => Promise.resolve(),
    listBatches: (input) => this.load(input.ref).activities.listBatches(input),
    loadUnits: (input) => this.loading(input, 'loadUnits'),
    finishChunk: (input) => this.loading(input, 'finishChunk'),
    skipUnit: (input) => this.load(input.ref).activities.skipUnit(input),
  };

  private on<T>({ target }: Pick<LinkInput, 'target'>, act: (link: FakeLink) => Promise<T>): Promise<T> {
    return act(this.link(target));
  }

  private loading(input: LoadUnitsInput, name: 'loadUnits' | 'finishChunk'): Promise<LoadUnitsResult> {
    return this.load(input.ref).activities[name](input);
  }

  private load({ targetStore, load }: LoadRef): FakeCopy {
    const known = this.link(targetStore).loads.get(load);
    if (known === undefined) throw ApplicationFailure.nonRetryable(`No load ${load}.`, 'job.notFound');
    return known;
  }
}

function begun(link: FakeLink, { generation, job }: LinkInput): BegunLink {
  const again = generation > link.generation && link.generation > 0;
  link.generation = Math.max(link.generation, generation);
  if (again) {
    link.loads.clear();
    link.progress = noProgress;
  }
  const loads = job.load.checkpoint;
  if (!loads) link.progress = { ...link.progress, consistentAt: '0/C' };
  const { later } = link;
  return {
    ...{ warnings: ['a warning'], generation: link.generation, progress: link.moved(), loads },
    ...(later === undefined ? {} : { later }),
  };
}

function prepared(link: FakeLink, input: PrepareLinkLoadInput): PreparedLinkLoad {
  link.plans.push(input);
  if (input.only?.includes('public.unknown') === true) {
    throw ApplicationFailure.nonRetryable('There is no such table.', 'link.unknownTable');
  }
  const load = link.loads.get(input.load) ?? newLoad(link);
  link.loads.set(input.load, load);
  const { units, chunks } = load.plan;
  return {
    ref: {
      ...{ job: input.job.name, load: input.load, run: input.run },
      ...{ sourceStore: input.job.source.store, targetStore: input.target },
    },
    plan: { units, chunks, bytes: units * 1_000, tables: 1 },
    warnings: [],
    alreadyDone: load.committed,
  };
}

function newLoad({ plan, holdUnit, failUnit }: FakeLink): FakeCopy {
  const load = new FakeCopy(plan);
  if (holdUnit !== null) load.hold(holdUnit);
  if (failUnit !== null) load.failUnit(failUnit.ordinal, failUnit.code);
  return load;
}

function watched(link: FakeLink): WatchedLink {
  return { progress: link.moved(), exceeded: link.exceeded };
}

function tableSet(link: FakeLink, { table, state }: SetTableInput): LinkProgress {
  const others = link.progress.tables.filter((other) => other.table !== table);
  const entry = state === 'live' ? [] : [{ table, state, code: null, message: null }];
  link.progress = { ...link.progress, tables: [...others, ...entry] };
  return link.moved();
}

function verified(link: FakeLink, { only }: VerifyLinkInput): VerifiedLink {
  link.verifies.push(only);
  return { chunks: 3, rows: 30, different: link.different, progress: link.moved() };
}

function ended(how: string): EndedLink {
  return {
    leftBehind: how === 'source' || how === 'target' ? [`The ${how} was not asked.`] : [],
    warnings: [how],
  };
}

export const noProgress: LinkProgress = {
  ...{ position: '0/0', consistentAt: null, lagMs: 5, lagBytes: 100, retainedBytes: 1_000 },
  ...{ spooledChanges: 0, spooledBytes: 0, transactions: 0, changes: 0, applied: 0, filtered: 0 },
  ...{ deadTransactions: 0, conflicts: 0, bytes: 0, lastPullAt: null, way: null, tables: [], danger: null },
};

const emptyReport: PlanReport = {
  ...{ chunks: 0, bytes: 0, tables: [], consistency: 'chunk' },
  ...{ slowPath: [], notCarried: [], findings: [] },
};
