import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SiteQueues } from '../../../cli/sites.ts';
import { startTcpProxy, startProxyFor, type TcpProxy } from '../../support/tcp-proxy.ts';
import { startWorkerProcess, type StoreSettings, type WorkerProcess } from '../../support/worker-process.ts';
import type { Sides } from './checks.ts';
import { createLabDatabase } from './database.ts';
import { type JobRun, openJobs } from './job-run.ts';
import { createTables, type JobText, jobText, type Shape } from './shape.ts';

/** Servers that a rig stands on: URLs of superusers, and the Temporal server. */
export interface Place {
  readonly source: string;
  readonly target: string;
  readonly temporalAddress: string;
}

/** A pair of databases and a task queue of their own, behind networks that the test can break. */
export interface BaseRig extends Sides {
  readonly name: string;
  readonly taskQueue: string;
  readonly folder: string;
  readonly network: { readonly source: TcpProxy; readonly target: TcpProxy; readonly temporal: TcpProxy };
  /** Behind the rig's networks. `environment`: for instance SYNCLINE_FAULT. */
  startWorker(environment?: Readonly<Record<string, string>>): Promise<WorkerProcess>;
  /** The same databases through networks that nobody breaks. */
  startWorkerElsewhere(): Promise<WorkerProcess>;
  /** A worker that knows these stores only, on a task queue of its own; not through the networks. */
  startSite(stores: readonly string[], taskQueue: string): Promise<WorkerProcess>;
  /** Submits a job by the code of `syncline run`; not through the networks. */
  submitText(text: string): Promise<JobRun>;
  /** Rejects with the last words of a worker that ended with an error of its own. */
  readonly crash: Promise<never>;
  /** Kills its workers, drops its databases. */
  end(): Promise<void>;
}

/** With one job of a known shape. */
export interface Rig extends BaseRig {
  readonly shape: Shape;
  /** Submits the job. */
  submit(onFailure?: string): Promise<JobRun>;
}

export interface RigOptions {
  /** Further entries of every worker's syncline.yaml. */
  readonly stores: Readonly<Record<string, StoreSettings>>;
  /** Task queue of the workers near a store, by the name of the store. */
  queues?(taskQueue: string): SiteQueues;
}

/** What makes a rig one of another kind of job than `copy`. */
export interface RigKind extends RigOptions {
  text(job: JobText): string;
}

const copyKind: RigKind = { stores: {}, text: jobText };

export async function createRig(place: Place, shape: Shape, kind = copyKind): Promise<Rig> {
  const rig = await createBaseRig(place, kind);
  await createTables(rig.source, rig.target, shape).catch(async (error: unknown) => {
    await rig.end();
    throw error;
  });
  return {
    ...rig,
    shape,
    submit: (onFailure) =>
      rig.submitText(
        kind.text({ ...shape, name: rig.name, ...(onFailure === undefined ? {} : { onFailure }) }),
      ),
  };
}

export async function createBaseRig(place: Place, kind: RigOptions): Promise<BaseRig> {
  const id = randomBytes(5).toString('hex');
  const name = `lab-${id}`;
  const folder = await mkdtemp(join(tmpdir(), 'syncline-lab-'));
  const [source, target] = await Promise.all([
    createLabDatabase(place.source),
    createLabDatabase(place.target),
  ]);
  const network = {
    source: await startProxyFor(source.url),
    target: await startProxyFor(target.url),
    temporal: await startTcpProxy(addressOf(place.temporalAddress)),
  };
  const taskQueue = `lab-${id}`;
  const workers: WorkerProcess[] = [];
  const jobs = await openJobs(place.temporalAddress, taskQueue);
  let onCrash: (error: Error) => void = () => undefined;
  const crash = new Promise<never>((_, reject) => (onCrash = reject));
  crash.catch(() => undefined);
  const keep = async (starting: Promise<WorkerProcess>): Promise<WorkerProcess> => {
    const worker = await starting;
    workers.push(worker);
    void worker.ended.then((how) => {
      if (typeof how === 'number' && how !== 0)
        onCrash(new Error(`A worker ended with ${how}:\n${worker.output().slice(-4_000)}`));
    });
    return worker;
  };
  const submitText = async (text: string): Promise<JobRun> => {
    const file = join(folder, 'job.yaml');
    await writeFile(file, text);
    return await jobs.submit(file, kind.queues?.(taskQueue));
  };
  return {
    ...{ name, taskQueue, folder, source, target, network, crash },
    startWorker: (env = {}) =>
      keep(
        startWorkerProcess({
          stores: {
            ...kind.stores,
            source: network.source.rewrite(source.url),
            target: network.target.rewrite(target.url),
          },
          temporalAddress: `127.0.0.1:${network.temporal.port}`,
          taskQueue,
          env,
        }),
      ),
    startWorkerElsewhere: () =>
      keep(
        startWorkerProcess({
          stores: { ...kind.stores, source: source.url, target: target.url },
          temporalAddress: place.temporalAddress,
          taskQueue,
        }),
      ),
    startSite: (names, queue) =>
      keep(
        startWorkerProcess({
          stores: Object.fromEntries(
            Object.entries({ ...kind.stores, source: source.url, target: target.url }).filter(([store]) =>
              names.includes(store),
            ),
          ),
          temporalAddress: place.temporalAddress,
          taskQueue: queue,
        }),
      ),
    submitText,
    async end() {
      await Promise.all(workers.map((worker) => worker.kill()));
      await jobs.close();
      await Promise.all(Object.values(network).map((proxy) => proxy.close()));
      await rm(folder, { recursive: true, force: true });
      // What the test itself found must not be hidden by a server that is away.
      await Promise.allSettled([source.drop(), target.drop()]);
    },
  };
}

function addressOf(text: string): { host: string; port: number } {
  const at = text.lastIndexOf(':');
  return { host: text.slice(0, at), port: Number(text.slice(at + 1)) };
}

/** A worker that ends by itself, exit code 1, fails the test at once and says why. */
export async function withRig(place: Place, shape: Shape, body: (rig: Rig) => Promise<void>): Promise<void> {
  const rig = await createRig(place, shape);
  try {
    await Promise.race([body(rig), rig.crash]);
  } finally {
    await rig.end();
  }
}
