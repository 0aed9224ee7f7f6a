import { ApplicationFailure, cancellationSignal, heartbeat } from '@temporalio/activity';
import type {
  BatchPage,
  CopyActivities,
  CopyTotals,
  FinishCopyInput,
  FinishedCopy,
  ListBatchesInput,
  LoadRef,
  LoadUnitsInput,
  LoadUnitsResult,
  PlanReport,
  PlanTotals,
  PreflightFinding,
  PrepareInput,
  PreparedLoad,
  SkipUnitInput,
  UnitFailure,
} from '../../definitions/contracts/copy.ts';
import type { SkippedChunk } from '../../definitions/contracts/status.ts';
import { type ErrorCode, errorTable } from '../../definitions/errors.ts';
import { type GroupableUnit, groupUnits, lastOrdinalOfBlock } from '../../planning/batches.ts';

export const rowsPerUnit = 10;
export const bytesPerUnit = 1_000;

/** A plan that exists only as arithmetic: `unitAt(1..units)`. */
export interface VirtualPlan {
  readonly units: number;
  readonly chunks: number;
  unitAt(ordinal: number): GroupableUnit;
}

/** N whole chunks `public.t_00001` … */
export function wholeChunks(units: number, bytes = bytesPerUnit): VirtualPlan {
  return {
    units,
    chunks: units,
    unitAt: (ordinal) => ({
      ordinal,
      firstOfChunk: ordinal,
      kind: 'whole',
      bytes,
      chunk: `public.t_${String(ordinal).padStart(5, '0')}`,
      slice: 0,
    }),
  };
}

/** Chunks of so many slices each, then their `finish`; 0 slices = a whole chunk. */
export function slicedChunks(slices: readonly number[]): VirtualPlan {
  const all: GroupableUnit[] = [];
  slices.forEach((count, index) => {
    const firstOfChunk = all.length + 1;
    const chunk = `public.big_${index + 1}`;
    const add = (kind: GroupableUnit['kind'], slice: number): void => {
      all.push({ ordinal: all.length + 1, firstOfChunk, kind, bytes: bytesPerUnit, chunk, slice });
    };
    if (count === 0) add('whole', 0);
    for (let slice = 1; slice <= count; slice += 1) add('slice', slice);
    if (count > 0) add('finish', 0);
  });
  return {
    units: all.length,
    chunks: slices.length,
    unitAt(ordinal) {
      const unit = all[ordinal - 1];
      if (unit === undefined) throw new RangeError(`The plan has no unit ${ordinal}.`);
      return unit;
    },
  };
}

type Name = keyof CopyActivities;

interface Fault {
  readonly code: ErrorCode;
  /** How often; then it works. */
  times: number;
  readonly findings?: readonly PreflightFinding[];
}

/**
 * CopyActivities over a virtual plan, with a ledger in memory: a million chunks cannot be had for real.
 * It keeps the contract: idempotent, obeys cancellation, goes on past a failing unit in a batch of several.
 * One object outlives the workers of a test, as a target's ledger does.
 */
export class FakeCopy {
  readonly plan: VirtualPlan;
  /** 1 = committed; index = ordinal. */
  readonly commits: Uint8Array;
  /** Units handed out again after they had been committed. */
  repeats = 0;
  readonly dead = new Map<number, UnitFailure>();
  /** Names of the calls in order, with the batch's label where there is one. */
  readonly calls: string[] = [];
  readonly loadInputs: LoadUnitsInput[] = [];
  removed = false;
  finishInput: FinishCopyInput | null = null;
  prepareInput: PrepareInput | null = null;
  mostAtOnce = 0;
  private now = 0;
  private readonly unitFaults = new Map<number, Fault>();
  private readonly callFaults = new Map<Name, Fault>();
  private readonly held = new Set<number | Name>();
  private readonly reached = new Set<number | Name>();
  private readonly keepsCalls: boolean;

  constructor(plan: VirtualPlan, options: { readonly keepsCalls?: boolean } = {}) {
    this.plan = plan;
    this.commits = new Uint8Array(plan.units + 1);
    this.keepsCalls = options.keepsCalls ?? true;
  }

  failUnit(ordinal: number, code: ErrorCode, times = Number.POSITIVE_INFINITY): void {
    this.unitFaults.set(ordinal, { code, times });
  }

  failCall(
    name: Name,
    code: ErrorCode,
    options: { times?: number; findings?: PreflightFinding[] } = {},
  ): void {
    const { times = Number.POSITIVE_INFINITY, findings } = options;
    this.callFaults.set(name, { code, times, ...(findings === undefined ? {} : { findings }) });
  }

  cure(what: number | Name): void {
    if (typeof what === 'number') this.unitFaults.delete(what);
    else this.callFaults.delete(what);
  }

  /** Whoever comes to this unit or call waits there, until it is released or cancelled. */
  hold(what: number | Name): void {
    this.held.add(what);
  }

  release(what: number | Name): void {
    this.held.delete(what);
  }

  isReached(what: number | Name): boolean {
    return this.reached.has(what);
  }

  get committed(): number {
    return this.commits.reduce((sum, count) => sum + count, 0);
  }

  readonly activities: CopyActivities = {
    planCopy: () => Promise.resolve(emptyReport),
    prepareCopy: (input) => this.call('prepareCopy', () => this.prepared(input)),
    latestLoad: (input) =>
      this.call('latestLoad', () => (this.committed + this.dead.size === 0 ? null : this.prepared(input))),
    listBatches: (input) => this.call('listBatches', () => this.page(input)),
    loadUnits: (input) => this.loading(input),
    finishChunk: (input) => this.loading(input),
    skipUnit: (input) => this.call('skipUnit', () => this.setAside(input)),
    finishCopy: (input) => this.call('finishCopy', () => this.finished(input)),
    removeCopy: () =>
      this.call('removeCopy', () => {
        this.removed = true;
      }),
  };

  private async call<T>(name: Name, answer: () => T): Promise<T> {
    if (this.keepsCalls) this.calls.push(name);
    await this.waitWhileHeld(name);
    const fault = this.callFaults.get(name);
    if (fault !== undefined && fault.times > 0) {
      fault.times -= 1;
      throw failure(fault.code, `${name} fails as asked.`, fault.findings ?? []);
    }
    return answer();
  }

  private prepared(input: PrepareInput): PreparedLoad {
    this.prepareInput = input;
    const ref: LoadRef = {
      job: input.job.name,
      load: `run:${input.run}`,
      run: input.run,
      sourceStore: input.job.source.store,
      targetStore: input.job.target.store,
    };
    return { ref, plan: this.planTotals, warnings: ['a warning'], alreadyDone: this.committed };
  }

  private get planTotals(): PlanTotals {
    const { units, chunks } = this.plan;
    return { units, chunks, bytes: units * bytesPerUnit, tables: 1 };
  }

  private page({ after, limit, onlyMissing }: ListBatchesInput): BatchPage {
    if (onlyMissing) {
      const units = [...this.dead.keys()].filter((ordinal) => ordinal > after).toSorted((a, b) => a - b);
      const batches = units
        .slice(0, limit)
        .flatMap((ordinal) => groupUnits([this.plan.unitAt(ordinal)], { totalUnits: 1 }));
      return { batches, next: batches.at(-1)?.to ?? after, end: units.length <= limit };
    }
    const batches: BatchPage['batches'][number][] = [];
    let to = after;
    while (batches.length < limit && to < this.plan.units) {
      const units: GroupableUnit[] = [];
      for (let at = to + 1; at <= Math.min(lastOrdinalOfBlock(to + 1), this.plan.units); at += 1) {
        units.push(this.plan.unitAt(at));
      }
      batches.push(...groupUnits(units, { totalUnits: this.plan.units }).slice(0, limit - batches.length));
      to = batches.at(-1)?.to ?? to;
    }
    return { batches, next: to, end: to >= this.plan.units };
  }

  private async loading(input: LoadUnitsInput): Promise<LoadUnitsResult> {
    const { batch } = input;
    if (this.keepsCalls) {
      this.calls.push(`${batch.kind} ${batch.label}`);
      this.loadInputs.push(input);
    }
    this.now += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.now);
    try {
      const failed: UnitFailure[] = [];
      for (let ordinal = batch.from; ordinal <= batch.to; ordinal += 1) {
        await this.waitWhileHeld(ordinal);
        const problem = this.tryUnit(ordinal);
        if (problem === null) continue;
        if (batch.units === 1 || failed.length === 50) throw failure(problem.code, problem.message);
        failed.push(problem);
      }
      const done = batch.units - failed.length;
      const rows = done * rowsPerUnit;
      return { unitsDone: done, rowsRead: rows, rowsWritten: rows, bytes: done * bytesPerUnit, failed };
    } finally {
      this.now -= 1;
    }
  }

  private tryUnit(ordinal: number): UnitFailure | null {
    const unit = this.plan.unitAt(ordinal);
    const fault = this.unitFaults.get(ordinal);
    if (fault !== undefined && fault.times > 0) {
      fault.times -= 1;
      return { ordinal, chunk: unit.chunk, code: fault.code, message: 'The unit fails as asked.' };
    }
    if (unit.kind === 'finish' && this.commits.subarray(unit.firstOfChunk, ordinal).includes(0)) {
      return { ordinal, chunk: unit.chunk, code: 'source.chunkChanged', message: 'A slice is missing.' };
    }
    if (this.commits[ordinal] === 1) this.repeats += 1;
    this.commits[ordinal] = 1;
    this.dead.delete(ordinal);
    return null;
  }

  private setAside({ failure: letter }: SkipUnitInput): void {
    this.dead.set(letter.ordinal, letter);
  }

  private finished(input: FinishCopyInput): FinishedCopy {
    this.finishInput = input;
    const rows = this.committed * rowsPerUnit;
    const totals: CopyTotals = {
      unitsDone: this.committed,
      unitsSkipped: this.dead.size,
      rowsRead: rows + this.dead.size * rowsPerUnit,
      rowsWritten: rows,
      rowsSkipped: this.dead.size * rowsPerUnit,
      bytes: this.committed * bytesPerUnit,
    };
    const skipped: SkippedChunk[] = [...this.dead.values()]
      .toSorted((a, b) => a.ordinal - b.ordinal)
      .slice(0, 100)
      .map(({ ordinal, chunk, code, message }) => ({
        ordinal,
        chunk,
        slice: this.plan.unitAt(ordinal).slice,
        code,
        message,
      }));
    return { totals, skipped, warnings: [] };
  }

  private async waitWhileHeld(what: number | Name): Promise<void> {
    if (!this.held.has(what)) return;
    this.reached.add(what);
    const signal = cancellationSignal();
    while (this.held.has(what)) {
      heartbeat({ waiting: true });
      await new Promise((resolve) => setTimeout(resolve, 20));
      if (signal.aborted) throw signal.reason as Error;
    }
  }
}

function failure(code: ErrorCode, message: string, details: readonly unknown[] = []): ApplicationFailure {
  const nonRetryable = errorTable[code].retry !== 'automatic';
  return ApplicationFailure.create({ type: code, message, nonRetryable, details: [...details] });
}

const emptyReport: PlanReport = {
  chunks: 0,
  bytes: 0,
  tables: [],
  consistency: 'chunk',
  slowPath: [],
  notCarried: [],
  findings: [],
};
