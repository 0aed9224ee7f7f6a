import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { createActivities } from '../../activities/index.ts';
import type { FaultPoints } from '../../activities/dependencies.ts';
import type {
  BackupRestoreActivities,
  FinishedStage,
  PreparedStage,
  StageInput,
} from '../../definitions/contracts/backup-restore.ts';
import type {
  CopyActivities,
  LoadUnitsInput,
  LoadUnitsResult,
  UnitBatch,
} from '../../definitions/contracts/copy.ts';
import type {
  BackupStage,
  LoadMode,
  ResolvedBackup,
  ResolvedBackupRestoreJob,
  ResolvedRestore,
  TableSelection,
  VerifyMode,
} from '../../definitions/contracts/job.ts';
import { SynclineError } from '../../definitions/errors.ts';
import { noTotals } from '../../planning/progress.ts';
import type { BackupCatalog } from '../../stores/spi/artifact.ts';
import { requireCapability, type StoreProvider } from '../../stores/spi/store.ts';
import { Redaction } from '../../worker/redaction.ts';
import { createStoreProvider } from '../../worker/stores.ts';
import { noMetrics } from '../../worker/metrics.ts';
import { runningTransactionsEnd, type TestDatabase } from './postgres.ts';

type AllActivities = CopyActivities & BackupRestoreActivities;

/** Stores `source`, `target`, `vault` and `far` (directories), and the activities over them, without Temporal. */
export interface BackupLab {
  readonly stores: StoreProvider;
  /** Absolute paths of the two directories. */
  readonly vault: string;
  readonly far: string;
  act<T>(activity: (activities: AllActivities) => Promise<T>, options?: ActOptions): Promise<T>;
  catalog(job: ResolvedBackupRestoreJob, place?: 'vault' | 'far'): BackupCatalog;
  /** One stage from its preparation to its end; a restore goes on while there is more. Throws the first failure. */
  stage(stage: BackupStage, input: StageInput, options?: ActOptions): Promise<StageOutcome>;
  /** All stages of a job, as its workflow runs them. */
  run(job: ResolvedBackupRestoreJob, run?: RunOptions): Promise<readonly StageOutcome[]>;
  batches(prepared: PreparedStage): Promise<UnitBatch[]>;
  load(job: ResolvedBackupRestoreJob, work: BatchWork, options?: ActOptions): Promise<LoadUnitsResult>;
  close(): Promise<void>;
}

export interface ActOptions {
  readonly attempt?: number;
  readonly signal?: AbortSignal;
  readonly heartbeatDetails?: unknown;
}

export interface RunOptions {
  readonly run?: string;
  readonly scheduledTime?: string;
  readonly backup?: string | null;
}

export interface BatchWork {
  readonly stage: BackupStage;
  readonly prepared: PreparedStage;
  readonly batch: UnitBatch;
}

export interface StageOutcome extends FinishedStage {
  readonly stage: BackupStage;
  readonly prepared: PreparedStage;
  readonly results: readonly LoadUnitsResult[];
  /** Bytes that left the source of the stage. */
  readonly moved: number;
}

export interface LabOptions {
  readonly fault?: FaultPoints['reach'];
  readonly key?: string;
  readonly earlierKeys?: readonly string[];
  /** The directories of another lab, which stay when this one is closed. */
  readonly over?: Pick<BackupLab, 'vault' | 'far'>;
}

export const newKey = (): string => randomBytes(32).toString('hex');

const nothing = (): void => undefined;

export async function openBackupLab(
  databases: {
    readonly source: Pick<TestDatabase, 'url' | 'query'>;
    readonly target: Pick<TestDatabase, 'url'>;
  },
  options: LabOptions = {},
): Promise<BackupLab> {
  const root = await mkdtemp(join(tmpdir(), 'syncline-backup-'));
  const { vault, far } = options.over ?? { vault: join(root, 'vault'), far: join(root, 'far') };
  const { key, earlierKeys = [] } = options;
  const encryption = key === undefined ? {} : { encryption: { key, earlier: [...earlierKeys] } };
  const postgres = (url: string): Record<string, unknown> => ({ kind: 'postgres', url, connections: 8 });
  const directory = (path: string): Record<string, unknown> => ({ kind: 'directory', path, ...encryption });
  const settings = {
    source: postgres(databases.source.url),
    target: postgres(databases.target.url),
    vault: directory(vault),
    far: directory(far),
  };
  const entries = Object.entries(settings).map(([name, one]) => [
    name,
    { kind: String(one['kind']), settings: one },
  ]);
  const stores = await createStoreProvider(
    {
      stores: Object.fromEntries(entries) as Record<
        string,
        { kind: string; settings: Record<string, unknown> }
      >,
    },
    { redaction: new Redaction() },
  );
  const activities = createActivities({
    stores,
    log: { info: nothing, warn: nothing },
    metrics: noMetrics,
    fault: { reach: options.fault ?? (() => Promise.resolve()) },
  });
  const lab: BackupLab = {
    stores,
    vault,
    far,
    act: async (activity, { attempt = 1, signal, heartbeatDetails } = {}) => {
      const environment = new MockActivityEnvironment({ attempt, heartbeatDetails });
      signal?.addEventListener('abort', () => environment.cancel('CANCELLED'), { once: true });
      return await environment.run(() => activity(activities));
    },
    catalog: (job, place = 'vault') => {
      const at = place === 'vault' ? job.backup : (job.transfer ?? job.backup);
      return requireCapability(stores.artifact(at.store, { path: at.path, backup: null }), 'backupCatalog');
    },
    batches: async ({ ref }) => {
      const found: UnitBatch[] = [];
      for (let after = 0; ;) {
        const page = await lab.act((all) => all.listBatches({ ref, after, limit: 100, onlyMissing: false }));
        found.push(...page.batches);
        after = page.next;
        if (page.end) return found;
      }
    },
    load: (job, { stage, prepared, batch }, how) => {
      const input: LoadUnitsInput = {
        ref: prepared.ref,
        batch,
        verify: job.run.verify,
        ...(stage === 'restore' && job.restore?.only === 'changed' ? { onlyChanged: true } : {}),
        memoryBytes: job.run.memoryBytes,
      };
      if (stage === 'transfer') return lab.act((all) => all.transferObjects(input), how);
      return lab.act((all) => (batch.kind === 'finish' ? all.finishChunk(input) : all.loadUnits(input)), how);
    },
    stage: async (stage, input, how) => {
      if (stage === 'backup') await runningTransactionsEnd(databases.source);
      return await runStage(lab, { stage, input }, how);
    },
    run: (job, run) => runJob(lab, job, run),
    close: async () => {
      await stores.closeAll();
      await rm(root, { recursive: true, force: true });
    },
  };
  return lab;
}

interface OneStage {
  readonly stage: BackupStage;
  readonly input: StageInput;
}

async function runStage(lab: BackupLab, { stage, input }: OneStage, how?: ActOptions): Promise<StageOutcome> {
  const { job } = input;
  const prepared = await lab.act((all) => {
    switch (stage) {
      case 'backup':
        return all.prepareBackup(input);
      case 'transfer':
        return all.prepareTransfer(input);
      case 'restore':
        return all.prepareRestore(input);
    }
  }, how);
  const batches = await lab.batches(prepared);
  const results: LoadUnitsResult[] = [];
  for (const kind of ['load', 'finish'] as const) {
    const waiting = batches.filter((batch) => batch.kind === kind);
    const lane = async (): Promise<void> => {
      for (let batch = waiting.shift(); batch !== undefined; batch = waiting.shift()) {
        const result = await lab.load(job, { stage, prepared, batch }, how);
        const [failed] = result.failed;
        if (failed !== undefined) throw new SynclineError(failed.code, failed.message);
        results.push(result);
      }
    };
    const lanes = await Promise.allSettled(Array.from({ length: job.run.parallel }, lane));
    const broken = lanes.find((each) => each.status === 'rejected');
    if (broken !== undefined) throw broken.reason as Error;
  }
  const last = { ...input, ref: prepared.ref, totals: noTotals };
  const finished = await lab.act((all) => {
    switch (stage) {
      case 'backup':
        return all.finishBackup(last);
      case 'transfer':
        return all.finishTransfer(last);
      case 'restore':
        return all.finishRestore(last);
    }
  }, how);
  return { ...finished, stage, prepared, results, moved: results.reduce((sum, one) => sum + one.bytes, 0) };
}

async function runJob(
  lab: BackupLab,
  job: ResolvedBackupRestoreJob,
  { run = randomUUID(), scheduledTime = new Date().toISOString(), backup = null }: RunOptions = {},
): Promise<readonly StageOutcome[]> {
  const outcomes: StageOutcome[] = [];
  const common = { job, run, scheduledTime };
  let at = backup;
  for (const stage of job.stages) {
    const verified = stage === 'restore' && outcomes.at(-1)?.verified === true;
    for (let input: StageInput | null = { ...common, backup: at, verified }; input !== null;) {
      const outcome: StageOutcome = await lab.stage(stage, input);
      outcomes.push(outcome);
      input = outcome.more ? { ...input, verified: false } : null;
    }
    at = outcomes.at(-1)?.backup ?? null;
  }
  const to = outcomes.find((outcome) => outcome.watermark !== null)?.watermark ?? null;
  if (to !== null) await lab.act((all) => all.moveWatermark({ ...common, backup: at, verified: false, to }));
  return outcomes;
}

export interface BackupSketch {
  readonly tables: readonly (string | ({ readonly pattern: string } & Partial<TableSelection>))[];
  readonly stages?: readonly BackupStage[];
  readonly name?: string;
  readonly path?: string;
  readonly backup?: Partial<ResolvedBackup>;
  readonly restore?: Partial<ResolvedRestore>;
  readonly restoreTables?: BackupSketch['tables'];
  readonly mode?: LoadMode;
  readonly keep?: ResolvedBackupRestoreJob['keep'];
  readonly verify?: VerifyMode;
}

/** A resolved job with the defaults of a test. */
export function backupJob(sketch: BackupSketch): ResolvedBackupRestoreJob {
  const name = sketch.name ?? `job-${randomUUID().slice(0, 8)}`;
  const path = sketch.path ?? name;
  const stages = sketch.stages ?? ['backup', 'restore'];
  const selections = (tables: BackupSketch['tables']): TableSelection[] =>
    tables.map((table) => ({
      chunks: '%',
      chunkBytes: 1e9,
      ...(typeof table === 'string' ? { pattern: table } : table),
    }));
  return {
    kind: 'backup-restore',
    name,
    onFailure: { mode: 'stop', attempts: 1, backoffInitialMs: 10, backoffMaxMs: 50 },
    stages,
    source: { store: 'source', tables: selections(sketch.tables) },
    backup: {
      store: 'vault',
      path,
      format: 'binary',
      compression: 'zstd',
      encrypt: false,
      consistency: 'chunk',
      snapshotLimitMs: 60_000,
      incremental: true,
      ...sketch.backup,
    },
    ...(stages.includes('transfer') ? { transfer: { store: 'far', path } } : {}),
    restore: {
      store: 'target',
      mode: sketch.mode ?? 'replace',
      createTables: true,
      only: 'changed',
      backup: 'latest',
      check: 'objects',
      tables: selections(sketch.restoreTables ?? ['*.*']),
      ...sketch.restore,
    },
    ...(sketch.keep === undefined ? {} : { keep: sketch.keep }),
    run: {
      parallel: 2,
      memoryBytes: 256 * 1024 * 1024,
      verify: sketch.verify ?? 'digest',
      analyze: false,
    },
  };
}
