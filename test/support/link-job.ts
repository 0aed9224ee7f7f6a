import { randomUUID } from 'node:crypto';
import { MockActivityEnvironment } from '@temporalio/testing';
import type { FaultPoints } from '../../activities/dependencies.ts';
import type { CopyActivities, PreparedLoad, UnitBatch } from '../../definitions/contracts/copy.ts';
import type {
  CutActivities,
  DuplicationActivities,
  Followed,
  FollowInput,
  LinkInput,
  LinkProgress,
} from '../../definitions/contracts/duplication.ts';
import type { ResolvedDuplicationJob, TableSelection } from '../../definitions/contracts/job.ts';
import { SynclineError } from '../../definitions/errors.ts';
import { loadsOf } from '../../planning/link-load.ts';
import type { LinkState } from '../../stores/spi/log-target.ts';
import type { Store } from '../../stores/spi/store.ts';
import { eventually } from './eventually.ts';
import type { TestDatabase } from './postgres.ts';
import { openTwoStores, type TwoDatabases } from './two-stores.ts';

type Activities = CopyActivities & DuplicationActivities & CutActivities;

/** A link between two databases, its activities called as a workflow would, without any Temporal server. */
export interface LinkStage {
  readonly input: LinkInput;
  readonly stores: { readonly source: Store; readonly target: Store };
  act<T>(activity: (activities: Activities) => Promise<T>, signal?: AbortSignal): Promise<T>;
  /** Begins to follow in the background, again and again until stopped, and loads what the log names. */
  follow(options?: Partial<FollowInput>): Following;
  /** One load from plan to last unit; null: there was nothing to load. */
  load(load?: string, only?: readonly string[]): Promise<PreparedLoad | null>;
  /** The link is consistent, and has applied all that was committed on the source when this was called. */
  caughtUp(following: Following): Promise<LinkState>;
  close(): Promise<void>;
}

export interface Following {
  /** Of the newest heartbeat. */
  readonly progress: () => Partial<LinkProgress>;
  readonly whys: readonly Followed['why'][];
  /** Cancels it and waits; throws what it ended with otherwise. */
  stop(): Promise<void>;
  /** What it failed with; null while it runs. */
  readonly failure: () => unknown;
}

export interface LinkSketch {
  readonly tables: readonly (string | ({ readonly pattern: string } & Partial<TableSelection>))[];
  readonly job?: Partial<ResolvedDuplicationJob>;
  readonly log?: Partial<ResolvedDuplicationJob['log']>;
  readonly load?: Partial<ResolvedDuplicationJob['load']>;
}

export function linkJob({ tables, job, log, load }: LinkSketch): ResolvedDuplicationJob {
  return {
    kind: 'duplication',
    name: `link-${randomUUID().slice(0, 8)}`,
    onFailure: { mode: 'stop', attempts: 1, backoffInitialMs: 50, backoffMaxMs: 200 },
    source: {
      store: 'source',
      tables: tables.map((table) => ({
        chunks: '%',
        chunkBytes: 1e9,
        ...(typeof table === 'string' ? { pattern: table } : table),
      })),
    },
    targets: [{ store: 'target' }],
    load: {
      ...{
        checkpoint: true,
        createTables: true,
        parallel: 2,
        memoryBytes: 256 * 1024 * 1024,
        verify: 'digest',
      },
      ...load,
    },
    log: {
      ...{ batchChanges: 50_000, batchBytes: 16_000_000, batchEveryMs: 500, lanes: 1 },
      ...{ laggingAfterMs: 10_000, durability: 'sync', keyless: 'refuse' },
      ...log,
    },
    retention: { maxLogBytes: 50e9, onExceed: 'stop' },
    ...job,
  };
}

export interface StageOptions {
  /** Default 1. */
  readonly generation?: number;
  readonly fault?: FaultPoints['reach'];
}

export function openLinkStage(
  databases: TwoDatabases,
  job: ResolvedDuplicationJob,
  options: StageOptions = {},
): LinkStage {
  const { stores, activities, close } = openTwoStores(databases, { connections: 10, ...options });
  const input: LinkInput = { job, target: 'target', run: randomUUID(), generation: options.generation ?? 1 };
  const act = async <T>(
    activity: (all: Activities) => Promise<T>,
    signal?: AbortSignal,
    heard?: (details: unknown) => void,
  ): Promise<T> => {
    const environment = new MockActivityEnvironment({ attempt: 1 });
    environment.on('heartbeat', (details: unknown) => heard?.(details));
    signal?.addEventListener('abort', () => environment.cancel('CANCELLED'), { once: true });
    return await environment.run(() => activity(activities));
  };
  const stage: LinkStage = {
    input,
    stores,
    act: (activity, signal) => act(activity, signal),
    follow: (more) => startFollowing(act, { ...input, mode: job.onFailure.mode, forMs: 600_000, ...more }),
    load: (load = loadsOf(1), only) => loadLink(stage, load, only ?? null),
    caughtUp: (following) => caughtUp(stage, databases.source as TestDatabase, following),
    close,
  };
  return stage;
}

type Act = <T>(
  activity: (all: Activities) => Promise<T>,
  signal?: AbortSignal,
  heard?: (details: unknown) => void,
) => Promise<T>;

function startFollowing(act: Act, input: FollowInput): Following {
  const stop = new AbortController();
  const whys: Followed['why'][] = [];
  let progress: Partial<LinkProgress> = {};
  let failure: unknown = null;
  const run = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      const followed = await act(
        (all) => all.followLog(input),
        stop.signal,
        (details) => (progress = details as LinkProgress),
      );
      ({ progress } = followed);
      whys.push(followed.why);
    }
  };
  const running = run().catch((error: unknown) => {
    if (!stop.signal.aborted) failure = error;
  });
  return {
    progress: () => progress,
    whys,
    failure: () => failure,
    stop: async () => {
      stop.abort();
      await running;
      if (failure !== null) throw failure instanceof Error ? failure : new Error('It ended otherwise.');
    },
  };
}

async function loadLink(
  stage: LinkStage,
  load: string,
  only: readonly string[] | null,
): Promise<PreparedLoad | null> {
  const { job } = stage.input;
  const prepared = await stage.act((all) =>
    all.prepareLinkLoad({ ...stage.input, load, only, again: only !== null }),
  );
  if (prepared === null) return null;
  const { ref } = prepared;
  const batches: UnitBatch[] = [];
  for (let after = 0; ;) {
    const page = await stage.act((all) => all.listBatches({ ref, after, limit: 100, onlyMissing: false }));
    batches.push(...page.batches);
    after = page.next;
    if (page.end) break;
  }
  const { memoryBytes, verify } = job.load;
  for (const kind of ['load', 'finish'] as const) {
    const waiting = batches.filter((batch) => batch.kind === kind);
    const lane = async (): Promise<void> => {
      for (let batch = waiting.shift(); batch !== undefined; batch = waiting.shift()) {
        const one = { ref, batch, verify, memoryBytes };
        const result = await stage.act((all) =>
          kind === 'finish' ? all.finishChunk(one) : all.loadUnits(one),
        );
        const [failed] = result.failed;
        if (failed !== undefined) throw new SynclineError(failed.code, failed.message);
      }
    };
    await Promise.all(Array.from({ length: job.load.parallel }, lane));
  }
  return prepared;
}

async function caughtUp(stage: LinkStage, source: TestDatabase, following: Following): Promise<LinkState> {
  const [row] = await source.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
  const end = (row?.lsn ?? '')
    .split('/')
    .map((part) => part.padStart(8, '0').toLowerCase())
    .join('');
  const target = stage.stores.target.capabilities.logTarget;
  return await eventually(
    async () => {
      const failure = following.failure();
      if (failure !== null) throw failure instanceof Error ? failure : new Error('The follow has failed.');
      const state = (await target?.read({ job: stage.input.job.name, target: 'target' })) ?? null;
      if (state === null || state.consistentAt === null || state.position < end) return null;
      return state.totals.spooledChanges === 0 ? state : null;
    },
    { everyMs: 50 },
  );
}
