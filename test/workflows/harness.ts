import { randomUUID } from 'node:crypto';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import {
  DefaultLogger,
  NativeConnection,
  Runtime,
  Worker,
  type WorkerOptions,
  type WorkflowBundleOption,
} from '@temporalio/worker';
import { SearchAttributeType, type SearchAttributePair, defineSearchAttributeKey } from '@temporalio/common';
import type { CopyInput } from '../../definitions/contracts/copy.ts';
import type { DuplicationInput, LinkStatus } from '../../definitions/contracts/duplication.ts';
import type {
  ResolvedBackupRestoreJob,
  ResolvedCopyJob,
  ResolvedDuplicationJob,
  ResolvedJob,
} from '../../definitions/contracts/job.ts';
import { searchAttributes, workflowIdOf } from '../../definitions/contracts/names.ts';
import type { JobStatus } from '../../definitions/contracts/status.ts';
import type { copy } from '../../workflows/copy.ts';
import type { duplication } from '../../workflows/duplication.ts';
import { statusQuery } from '../../workflows/messages.ts';
import { eventually, type EventuallyOptions } from '../support/eventually.ts';
import type { FakeBackup } from '../support/fake-backup-activities.ts';
import type { FakeCopy } from '../support/fake-copy-activities.ts';
import type { FakeDuplication } from '../support/fake-duplication-activities.ts';

// Failures are asked for by the dozen here; the SDK would print each of them.
Runtime.install({ logger: new DefaultLogger('ERROR') });

export type CopyHandle = WorkflowHandle<typeof copy>;

/** A job with quick back-off, so that a test waits for what it is about. */
export function jobOf(overrides: Partial<ResolvedCopyJob> = {}): ResolvedCopyJob {
  return {
    kind: 'copy',
    name: `job-${randomUUID()}`,
    onFailure: { mode: 'slow', attempts: 30, backoffInitialMs: 10, backoffMaxMs: 50 },
    source: { store: 'here', tables: [{ pattern: 'public.*', chunks: '%', chunkBytes: 1e9 }] },
    target: { store: 'there', mode: 'replace', createTables: true },
    run: { parallel: 4, memoryBytes: 64e6, verify: 'count', analyze: true },
    ...overrides,
  };
}

/** All three stages, with quick back-off. */
export function backupJobOf(overrides: Partial<ResolvedBackupRestoreJob> = {}): ResolvedBackupRestoreJob {
  return {
    kind: 'backup-restore',
    name: `job-${randomUUID()}`,
    onFailure: { mode: 'slow', attempts: 30, backoffInitialMs: 10, backoffMaxMs: 50 },
    stages: ['backup', 'transfer', 'restore'],
    source: { store: 'prod', tables: [{ pattern: 'public.*', chunks: '%', chunkBytes: 1e9 }] },
    backup: {
      ...{ store: 'vault', path: 't', format: 'binary', compression: 'zstd', encrypt: false },
      ...{ consistency: 'chunk', snapshotLimitMs: 60_000, incremental: true },
    },
    transfer: { store: 'far', path: 't' },
    restore: {
      ...{ store: 'dr', mode: 'replace', createTables: true, only: 'changed', backup: 'latest' },
      ...{ check: 'objects', tables: [{ pattern: '*.*', chunks: '%', chunkBytes: 1e9 }] },
    },
    run: { parallel: 4, memoryBytes: 64e6, verify: 'digest', analyze: true },
    ...overrides,
  };
}

/** One link to `dr`, with quick back-off; or one to each of these targets. */
export function duplicationJobOf(
  overrides: Partial<ResolvedDuplicationJob> = {},
  targets: readonly string[] = ['dr'],
): ResolvedDuplicationJob {
  return {
    kind: 'duplication',
    name: `job-${randomUUID()}`,
    onFailure: { mode: 'slow', attempts: 30, backoffInitialMs: 10, backoffMaxMs: 50 },
    source: { store: 'prod', tables: [{ pattern: 'public.*', chunks: '%', chunkBytes: 1e9 }] },
    targets: targets.map((store) => ({ store })),
    load: { checkpoint: true, createTables: true, parallel: 4, memoryBytes: 64e6, verify: 'count' },
    log: {
      ...{ batchChanges: 50_000, batchBytes: 16e6, batchEveryMs: 500, lanes: 1 },
      ...{ laggingAfterMs: 10_000, durability: 'sync', keyless: 'refuse' },
    },
    retention: { maxLogBytes: 50e9, onExceed: 'stop' },
    ...overrides,
  };
}

export function onFailure(mode: 'slow' | 'skip' | 'stop', attempts = 3): ResolvedCopyJob['onFailure'] {
  return { mode, attempts, backoffInitialMs: 10, backoffMaxMs: 50 };
}

/** A client and any number of workers on a task queue of their own. */
export class Stage {
  readonly client: Client;
  readonly taskQueue = `test-${randomUUID()}`;
  private readonly connections: { client: Connection; worker: NativeConnection };
  private readonly bundle: WorkflowBundleOption;
  private readonly workers = new Map<Worker, Promise<void>>();

  private constructor(connections: Stage['connections'], bundle: WorkflowBundleOption) {
    this.connections = connections;
    this.bundle = bundle;
    this.client = new Client({ connection: connections.client, identity: 'test' });
  }

  static async open(address: string, bundle: WorkflowBundleOption): Promise<Stage> {
    const [client, worker] = await Promise.all([
      Connection.connect({ address }),
      NativeConnection.connect({ address }),
    ]);
    return new Stage({ client, worker }, bundle);
  }

  async startWorker(
    fake: Pick<FakeCopy | FakeBackup | FakeDuplication, 'activities'>,
    options: Partial<WorkerOptions> = {},
  ): Promise<Worker> {
    const worker = await Worker.create({
      connection: this.connections.worker,
      taskQueue: this.taskQueue,
      workflowBundle: this.bundle,
      identity: 'test',
      activities: fake.activities,
      maxHeartbeatThrottleInterval: 100,
      ...options,
    });
    this.workers.set(worker, worker.run());
    return worker;
  }

  async stopWorker(worker: Worker): Promise<void> {
    const running = this.workers.get(worker);
    this.workers.delete(worker);
    if (worker.getState() === 'RUNNING') worker.shutdown();
    await running;
  }

  async start(
    job: ResolvedCopyJob,
    more: Partial<CopyInput> = {},
    { attributes = true }: { readonly attributes?: boolean } = {},
  ): Promise<CopyHandle> {
    return await this.client.workflow.start<typeof copy>('copy', {
      workflowId: workflowIdOf('copy', job.name),
      taskQueue: this.taskQueue,
      args: [{ job, definitionHash: 'test', intent: 'run', ...more }],
      ...(attributes ? { typedSearchAttributes: attributesOf(job) } : {}),
    });
  }

  async duplicate(
    job: ResolvedDuplicationJob,
    more: Partial<DuplicationInput> = {},
  ): Promise<WorkflowHandle<typeof duplication>> {
    return await this.client.workflow.start<typeof duplication>('duplication', {
      workflowId: workflowIdOf('duplication', job.name),
      taskQueue: this.taskQueue,
      args: [{ job, definitionHash: 'test', intent: 'run', ...more }],
      typedSearchAttributes: attributesOf(job),
    });
  }

  /** Ends what a failed test left running, so that the workers can end. */
  async close(): Promise<void> {
    await Promise.all([...this.workers.keys()].map((worker) => this.stopWorker(worker)));
    await Promise.all([this.connections.client.close(), this.connections.worker.close()]);
  }
}

export const stateKey = defineSearchAttributeKey(searchAttributes.state, SearchAttributeType.KEYWORD);

export function attributesOf(job: Pick<ResolvedJob, 'name' | 'kind'>): SearchAttributePair[] {
  return [
    { key: defineSearchAttributeKey(searchAttributes.job, SearchAttributeType.KEYWORD), value: job.name },
    { key: defineSearchAttributeKey(searchAttributes.kind, SearchAttributeType.KEYWORD), value: job.kind },
    { key: stateKey, value: 'running' },
    { key: defineSearchAttributeKey(searchAttributes.phase, SearchAttributeType.KEYWORD), value: 'init' },
    {
      key: defineSearchAttributeKey(searchAttributes.needsAttention, SearchAttributeType.BOOL),
      value: false,
    },
  ];
}

/** Waits until the status is as wanted, and answers it. */
export async function statusWhen(
  handle: WorkflowHandle,
  wanted: (status: JobStatus) => boolean,
  waitingFor?: string | EventuallyOptions,
): Promise<JobStatus> {
  return await eventually(
    async () => {
      const status = await handle.query(statusQuery);
      return wanted(status) ? status : null;
    },
    typeof waitingFor === 'object' ? waitingFor : { waitingFor: waitingFor ?? wanted.toString() },
  );
}

export function linkOf(status: JobStatus, target: string): LinkStatus | undefined {
  return status.links?.find((link) => link.target === target);
}

/** Type of the failure that a workflow ended with. */
export async function failureTypeOf(handle: WorkflowHandle): Promise<string | undefined> {
  try {
    await handle.result();
  } catch (error) {
    const { cause } = error as { cause?: { type?: string; name?: string } };
    return cause?.type ?? cause?.name;
  }
  return undefined;
}
