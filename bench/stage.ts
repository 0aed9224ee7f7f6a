import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { connectClient, type TemporalAccess } from '../worker/connection.ts';
import { startGuardian } from '../worker/local/guardian.ts';
import type { PostgresVersion } from '../worker/local/postgres-binaries.ts';
import { startPostgres } from '../worker/local/postgres.ts';
import { startTemporal } from '../worker/local/temporal.ts';
import { onlyTemporal, type ProcessEnvironment } from '../worker/local/temporal-environment.ts';
import {
  type BuiltWorker,
  buildWorker,
  packageFolder,
  removeBuild,
  startBuiltWorker,
} from './built-worker.ts';
import type { BenchOptions } from './options.ts';

/** A database of our own on one server; dropped at the end. */
export interface Side {
  /** Holds the password. */
  readonly url: string;
  /** Of the postmaster; null where the server is not ours. */
  readonly pid: number | null;
  query<Row = unknown>(text: string, values?: readonly unknown[]): Promise<Row[]>;
}

/** Everything that a bench needs, up and running. The worker is started by `withWorker`. */
export interface Stage {
  readonly source: Side;
  readonly target: Side;
  readonly temporal: TemporalAccess;
  readonly folder: string;
  /** A worker process of its own, stopped afterwards. `env` takes the place of what its environment has by that name. */
  withWorker<T>(work: (worker: BuiltWorker) => Promise<T>, env?: ProcessEnvironment): Promise<T>;
  /** One more database on the server of `target`. */
  anotherTarget(): Promise<Side>;
}

export type Say = (line: string) => void;

const taskQueue = 'syncline-bench';

/** Sets the stage, works, and clears it away, whatever happened. */
export async function onStage<T>(
  options: BenchOptions,
  say: Say,
  work: (stage: Stage) => Promise<T>,
): Promise<T> {
  const ends: Ends = [];
  try {
    const folder = await mkdtemp(join(tmpdir(), 'syncline-bench-'));
    const guardian = startGuardian({ signal: 'TERM', directories: [folder, packageFolder] });
    ends.push(() => rm(folder, { recursive: true, force: true }).then(() => guardian.dismiss()));
    say('Building the worker, starting the servers …');
    ends.push(() => removeBuild());
    const version = options.bench === 'duplication' ? 18 : 15;
    const [, sourceServer, targetServer, temporal] = await Promise.all([
      buildWorker(),
      openServer(options.servers?.source ?? null, version, ends),
      openServer(options.servers?.target ?? null, version, ends),
      openTemporal(ends, say),
    ]);
    const source = await openSide(sourceServer, ends);
    const target = await openSide(targetServer, ends);
    const config = join(folder, 'syncline.yaml');
    await writeFile(config, configText);
    const { address } = temporal.target;
    const env = {
      ...(await onlyTemporal(address, folder)),
      BENCH_SOURCE: source.url,
      BENCH_TARGET: target.url,
      BENCH_FILES: folder,
      BENCH_KEY: randomBytes(32).toString('hex'),
    };
    const { profile } = options;
    const start = { config, env, address, taskQueue, logFile: join(folder, 'worker.log'), profile };
    const withWorker: Stage['withWorker'] = async (use, other = {}) => {
      const worker = await startBuiltWorker({ ...start, env: { ...env, ...other } });
      try {
        return await use(worker);
      } finally {
        await worker.stop();
      }
    };
    const anotherTarget = (): Promise<Side> => openSide(targetServer, ends);
    return await work({ source, target, temporal, folder, withWorker, anotherTarget });
  } finally {
    for (const end of ends.reverse()) await end().catch(() => undefined);
  }
}

const configText = `stores:
  source: { kind: postgres, url: '\${BENCH_SOURCE}' }
  target: { kind: postgres, url: '\${BENCH_TARGET}' }
  vault: { kind: directory, path: '\${BENCH_FILES}/vault', encryption: { key: '\${BENCH_KEY}' } }
  far: { kind: directory, path: '\${BENCH_FILES}/far', encryption: { key: '\${BENCH_KEY}' } }
temporal: { taskQueue: ${taskQueue} }
worker: { log: { level: warn } }
`;

/** Of our own servers only: what the server does on its own account would hit one way and spare another. */
const quietSettings = { autovacuum: 'off', max_locks_per_transaction: '512', max_wal_size: '8GB' };

type Server = Pick<Side, 'url' | 'pid'>;
type Ends = (() => Promise<unknown>)[];

async function openServer(given: string | null, version: PostgresVersion, ends: Ends): Promise<Server> {
  if (given !== null) return { url: given, pid: null };
  const own = await startPostgres({ version, settings: quietSettings });
  ends.push(() => own.stop());
  return own;
}

async function openSide({ url: server, pid }: Server, ends: Ends): Promise<Side> {
  const name = `syncline_bench_${String(process.pid)}_${String(ends.length)}`;
  await once(server, `CREATE DATABASE ${name}`);
  // Our own servers go with all they have. Bounded: pglogical 2.4 keeps a server from ever dropping a database that had it.
  if (pid === null)
    ends.push(() => once(server, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`, dropTimeoutMs));
  const url = new URL(server);
  url.pathname = `/${name}`;
  const pool = new pg.Pool({ connectionString: url.href, max: 4 });
  pool.on('error', () => undefined);
  ends.push(() => pool.end());
  return {
    url: url.href,
    pid,
    query: async <Row>(text: string, values?: readonly unknown[]) => {
      const result = await pool.query(text, values === undefined ? undefined : [...values]);
      return result.rows as Row[];
    },
  };
}

const dropTimeoutMs = 120_000;

async function once(url: string, statement: string, timeoutMs = 0): Promise<void> {
  const client = new pg.Client({ connectionString: url, statement_timeout: timeoutMs });
  // Whatever runs on it fails with it.
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

async function openTemporal(ends: Ends, say: Say): Promise<TemporalAccess> {
  const server = await startTemporal({ alwaysOwn: true, onProgress: say });
  ends.push(() => server.stop());
  const { address } = server;
  const access = await connectClient({
    connectionOptions: { address },
    address,
    namespace: 'default',
    taskQueue,
  });
  ends.push(() => access.connection.close());
  return access;
}
