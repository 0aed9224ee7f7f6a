import { NativeConnection, Runtime, type RuntimeOptions, Worker } from '@temporalio/worker';
import type { Logger } from 'pino';
import type { ActivityDependencies } from '../activities/dependencies.ts';
import { createActivities } from '../activities/index.ts';
import { SynclineError } from '../definitions/errors.ts';
import type { StoreProvider } from '../stores/spi/store.ts';
import type { Config } from './config.ts';
import { keepBufferMemorySmall } from './buffer-memory.ts';
import { connectClient, type TemporalTarget } from './connection.ts';
import { failureInterceptor } from './failures.ts';
import { faultPoints } from './faults.ts';
import { serveHealth, type WorkerHealth } from './health.ts';
import type { HttpEndpoint } from './listen.ts';
import { createLog, temporalLogger } from './logging.ts';
import { batchSecondsBuckets, createActivityMetrics, metricNames, unitSecondsBuckets } from './metrics.ts';
import { Redaction } from './redaction.ts';
import { serveJobs } from './serve-jobs.ts';
import { ensureSearchAttributes } from './search-attributes.ts';
import { createStoreProvider } from './stores.ts';
import { workflowBundlePath } from './workflow-bundle.ts';

/** The composition root: the one place where settings, stores, activities, workflows and Temporal meet. */

export interface SynclineWorker {
  readonly log: Logger;
  readonly taskQueue: string;
  /** Of the health endpoint, if one is served. */
  readonly healthAddress: string | null;
  /** Where jobs can be read, if they are served. */
  readonly httpAddress: string | null;
  /** Polls until drained; then everything is closed. */
  run(): Promise<void>;
  /** Takes no new work; ends units in flight within the grace time, then cancels them. */
  drain(): void;
}

export interface CreateWorker {
  readonly config: Config;
  readonly target: TemporalTarget;
}

/**
 * Once per process: the SDK's runtime, with its log and metrics, is global.
 * Errors: `definition.*`, `temporal.*`. Stores are not contacted yet.
 */
export async function createWorker({ config, target }: CreateWorker): Promise<SynclineWorker> {
  const fault = faultPoints(process.env['SYNCLINE_FAULT']);
  const memory = keepBufferMemorySmall();
  const redaction = new Redaction();
  const stores = await createStoreProvider(config, { redaction });
  const log = createLog({ level: config.worker.logLevel, redaction });
  await prepareNamespace(target, log);
  installRuntime(config, log);
  try {
    const metrics = createActivityMetrics(Runtime.instance().metricMeter);
    const activities = createActivities({
      stores,
      log,
      metrics,
      fault,
      memory,
    } satisfies ActivityDependencies);
    const connection = await connectNative(target);
    const worker = await Worker.create({
      connection,
      namespace: target.namespace,
      taskQueue: target.taskQueue,
      activities,
      workflowBundle: { codePath: await workflowBundlePath(temporalLogger(log, 'warn')) },
      interceptors: { activity: [failureInterceptor(redaction)] },
      ...limits(config),
    });
    return await withEndpoints({ config, target, worker, connection, stores, log, redaction });
  } catch (error) {
    // Otherwise its threads keep a process alive that has nothing to do.
    await Runtime.instance().shutdown();
    throw error;
  }
}

/**
 * A fixed number of activities, because each holds buffers and sessions; few cached workflows, because each is cheap
 * to replay (runs stay short) and holds memory.
 */
function limits({ worker }: Config) {
  return {
    maxConcurrentActivityTaskExecutions: worker.maxActivities,
    maxConcurrentWorkflowTaskExecutions: 20,
    maxConcurrentLocalActivityExecutions: 4,
    maxCachedWorkflows: 100,
    workflowThreadPoolSize: 1,
    reuseV8Context: true,
    // Heartbeats carry cancellation and progress: 80 % of the time-out, the SDK's own limit, would be too slow.
    maxHeartbeatThrottleInterval: '3s',
    defaultHeartbeatThrottleInterval: '3s',
    // After a kill, another worker gets a job's next decision after this long.
    stickyQueueScheduleToStartTimeout: '5s',
    shutdownGraceTime: worker.shutdownGraceTimeMs,
    shutdownForceTime: worker.shutdownGraceTimeMs + 15_000,
  } as const;
}

function installRuntime({ worker }: Config, log: Logger): void {
  const level = worker.logLevel === 'trace' || worker.logLevel === 'debug' ? 'DEBUG' : 'WARN';
  const options: RuntimeOptions = {
    logger: temporalLogger(log, worker.logLevel),
    shutdownSignals: [],
    telemetryOptions: {
      logging: { filter: { core: level, other: 'WARN' }, forward: {} },
      ...(worker.metricsAddress === undefined
        ? {}
        : { metrics: { prometheus: prometheus(worker.metricsAddress) } }),
    },
  };
  try {
    Runtime.install(options);
  } catch (cause) {
    const message = `The metrics endpoint cannot listen on ${worker.metricsAddress ?? '-'}.`;
    throw new SynclineError('definition.invalid', message, { cause });
  }
}

function prometheus(bindAddress: string) {
  return {
    bindAddress,
    useSecondsForDurations: true,
    histogramBucketOverrides: {
      [metricNames.unitSeconds]: unitSecondsBuckets,
      [metricNames.logBatchSeconds]: batchSecondsBuckets,
    },
  };
}

async function prepareNamespace(target: TemporalTarget, log: Logger): Promise<void> {
  const { connection } = await connectClient(target);
  try {
    const added = await ensureSearchAttributes({
      connection,
      namespace: target.namespace,
    });
    if (added.length > 0) log.info({ added }, 'registered search attributes');
  } finally {
    await connection.close();
  }
}

async function connectNative(target: TemporalTarget): Promise<NativeConnection> {
  try {
    return await NativeConnection.connect(target.connectionOptions);
  } catch (cause) {
    throw new SynclineError('temporal.unreachable', `No Temporal server answers at ${target.address}.`, {
      cause,
    });
  }
}

interface Parts extends CreateWorker {
  readonly worker: Worker;
  readonly connection: NativeConnection;
  readonly stores: StoreProvider;
  readonly log: Logger;
  readonly redaction: Redaction;
}

async function withEndpoints(parts: Parts): Promise<SynclineWorker> {
  const { config, target, worker, stores, log } = parts;
  const health = (): WorkerHealth => ({
    status: workerStatus(worker),
    taskQueue: target.taskQueue,
    namespace: target.namespace,
    activitiesInFlight: worker.getStatus().numInFlightActivities,
    stores: stores.names(),
  });
  const address = config.worker.healthAddress;
  const endpoint = address === undefined ? null : await serveHealth(address, health);
  const jobs = await jobsEndpoint(parts);
  return {
    log,
    taskQueue: target.taskQueue,
    healthAddress: endpoint?.address ?? null,
    httpAddress: jobs?.address ?? null,
    run: () => runUntilDrained(parts, [endpoint, jobs]),
    drain: () => {
      if (workerStatus(worker) === 'running') worker.shutdown();
    },
  };
}

/** Over a connection of its own: the worker's cannot be used by a client. */
async function jobsEndpoint({ config, target, stores, log, redaction }: Parts): Promise<HttpEndpoint | null> {
  const address = config.worker.httpAddress;
  if (address === undefined) return null;
  const access = await connectClient(target);
  try {
    const endpoint = await serveJobs({ address, access, stores, log, redaction });
    log.info({ address: endpoint.address }, 'jobs are served over HTTP');
    return {
      address: endpoint.address,
      close: async () => {
        await endpoint.close();
        await access.connection.close();
      },
    };
  } catch (error) {
    await access.connection.close();
    throw error;
  }
}

function workerStatus(worker: Worker): 'running' | 'draining' | 'stopped' {
  switch (worker.getState()) {
    case 'INITIALIZED':
    case 'RUNNING':
      return 'running';
    case 'STOPPED':
    case 'FAILED':
      return 'stopped';
    default:
      return 'draining';
  }
}

async function runUntilDrained(parts: Parts, endpoints: readonly (HttpEndpoint | null)[]): Promise<void> {
  const { target, worker, connection, stores, log } = parts;
  log.info(
    { taskQueue: target.taskQueue, namespace: target.namespace, stores: stores.names() },
    'worker is running',
  );
  try {
    await worker.run();
    log.info({}, 'worker is drained');
  } finally {
    for (const endpoint of endpoints) await endpoint?.close();
    await stores.closeAll();
    await connection.close();
  }
}
