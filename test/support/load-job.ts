import { randomUUID } from 'node:crypto';
import { MockActivityEnvironment } from '@temporalio/testing';
import type { FaultPoints } from '../../activities/dependencies.ts';
import type {
  CopyActivities,
  FinishedCopy,
  LoadUnitsInput,
  LoadUnitsResult,
  PreparedLoad,
  UnitBatch,
} from '../../definitions/contracts/copy.ts';
import type {
  LoadMode,
  ResolvedCopyJob,
  TableSelection,
  VerifyMode,
} from '../../definitions/contracts/job.ts';
import { SynclineError } from '../../definitions/errors.ts';
import { noTotals } from '../../planning/progress.ts';
import type { Store } from '../../stores/spi/store.ts';
import { openTwoStores, type TwoDatabases } from './two-stores.ts';

/** Two open stores, `source` and `target`, and the activities over them, without any Temporal server. */
export interface LoadStage {
  readonly activities: CopyActivities;
  readonly stores: { readonly source: Store; readonly target: Store };
  /** Runs one activity as attempt `attempt`; aborting `signal` cancels it. */
  act<T>(activity: (activities: CopyActivities) => Promise<T>, options?: ActOptions): Promise<T>;
  prepare(job: ResolvedCopyJob, run?: RunOptions): Promise<PreparedLoad>;
  /** Every batch of a prepared load, in order. */
  batches(prepared: PreparedLoad): Promise<UnitBatch[]>;
  /** One batch, by loadUnits or finishChunk as its kind says. */
  load(work: BatchWork, options?: ActOptions): Promise<LoadUnitsResult>;
  /** A whole job: prepare, batches `parallel` at a time, finish. Throws the first failure. */
  run(job: ResolvedCopyJob, run?: RunOptions): Promise<JobOutcome>;
  close(): Promise<void>;
}

export interface ActOptions {
  readonly attempt?: number;
  readonly signal?: AbortSignal;
}

export interface RunOptions {
  readonly run?: string;
  readonly scheduledTime?: string;
}

export interface BatchWork {
  readonly job: ResolvedCopyJob;
  readonly prepared: PreparedLoad;
  readonly batch: UnitBatch;
}

export interface JobOutcome extends FinishedCopy {
  readonly prepared: PreparedLoad;
  readonly results: readonly LoadUnitsResult[];
}

export interface StageOptions {
  readonly fault?: FaultPoints['reach'];
  readonly connections?: number;
}

export function openStage(databases: TwoDatabases, options: StageOptions = {}): LoadStage {
  const { stores, activities, close } = openTwoStores(databases, { connections: 8, ...options });
  const stage: LoadStage = {
    activities,
    stores,
    act: async (activity, how = {}) => {
      const environment = new MockActivityEnvironment({ attempt: how.attempt ?? 1 });
      how.signal?.addEventListener('abort', () => environment.cancel('CANCELLED'), { once: true });
      return await environment.run(() => activity(activities));
    },
    prepare: (job, { run = randomUUID(), scheduledTime = '2026-01-01T00:00:00.000Z' } = {}) =>
      stage.act((all) => all.prepareCopy({ job, run, scheduledTime })),
    batches: async ({ ref }) => {
      const found: UnitBatch[] = [];
      for (let after = 0; ;) {
        const page = await stage.act((all) =>
          all.listBatches({ ref, after, limit: 100, onlyMissing: false }),
        );
        found.push(...page.batches);
        after = page.next;
        if (page.end) return found;
      }
    },
    load: ({ job, prepared, batch }, how) => {
      const input: LoadUnitsInput = {
        ref: prepared.ref,
        batch,
        verify: job.run.verify,
        memoryBytes: job.run.memoryBytes,
      };
      return stage.act(
        (all) => (batch.kind === 'finish' ? all.finishChunk(input) : all.loadUnits(input)),
        how,
      );
    },
    run: (job, run) => runJob(stage, job, run),
    close,
  };
  return stage;
}

async function runJob(stage: LoadStage, job: ResolvedCopyJob, run?: RunOptions): Promise<JobOutcome> {
  const prepared = await stage.prepare(job, run);
  const batches = await stage.batches(prepared);
  const results: LoadUnitsResult[] = [];
  // Loads first, then what completes chunks: `finish` waits for every slice of its chunk.
  for (const kind of ['load', 'finish'] as const) {
    const waiting = batches.filter((batch) => batch.kind === kind);
    const lane = async (): Promise<void> => {
      for (let batch = waiting.shift(); batch !== undefined; batch = waiting.shift()) {
        const result = await stage.load({ job, prepared, batch });
        const [failed] = result.failed;
        if (failed !== undefined) throw new SynclineError(failed.code, failed.message);
        results.push(result);
      }
    };
    const lanes = await Promise.allSettled(Array.from({ length: job.run.parallel }, lane));
    const broken = lanes.find((each) => each.status === 'rejected');
    if (broken !== undefined) throw broken.reason as Error;
  }
  const finished = await stage.act((all) => all.finishCopy({ ref: prepared.ref, job, totals: noTotals }));
  return { ...finished, prepared, results };
}

export interface JobSketch {
  readonly tables: readonly (string | ({ readonly pattern: string } & Partial<TableSelection>))[];
  readonly mode?: LoadMode;
  readonly createTables?: boolean;
  readonly verify?: VerifyMode;
  readonly parallel?: number;
  readonly name?: string;
}

/** A resolved job with the defaults of a test. */
export function copyJob(sketch: JobSketch): ResolvedCopyJob {
  return {
    kind: 'copy',
    name: sketch.name ?? `job-${randomUUID().slice(0, 8)}`,
    onFailure: { mode: 'stop', attempts: 1, backoffInitialMs: 10, backoffMaxMs: 50 },
    source: {
      store: 'source',
      tables: sketch.tables.map((table) => ({
        chunks: '%',
        chunkBytes: 1e9,
        ...(typeof table === 'string' ? { pattern: table } : table),
      })),
    },
    target: { store: 'target', mode: sketch.mode ?? 'replace', createTables: sketch.createTables ?? true },
    run: {
      parallel: sketch.parallel ?? 2,
      memoryBytes: 256 * 1024 * 1024,
      verify: sketch.verify ?? 'digest',
      analyze: false,
    },
  };
}
