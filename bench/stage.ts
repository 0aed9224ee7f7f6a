import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { connectClient, type TemporalAccess } from '../worker/connection.ts';
import { startGuardian } from '../worker/local/guardian.ts';
import { startPostgres } from '../worker/local/postgres.ts';
import { startTemporal } from '../worker/local/temporal.ts';
import { onlyTemporal } from '../worker/local/temporal-environment.ts';
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
  query<Row = unknown>(text: string, values?: readonly unknown[]): Promise<Row[]>;
}

/** Everything that a bench needs, up and running. The worker is started by `withWorker`. */
export interface Stage {
  readonly source: Side;
  readonly target: Side;
  readonly temporal: TemporalAccess;
  readonly folder: string;
  /** A worker process of its own, stopped afterwards. */
  withWorker<T>(work: (worker: BuiltWorker) => Promise<T>): Promise<T>;
}

export type Say = (line: string) => void;

const taskQueue = 'syncline-bench';

/** Sets the stage, works, and clears it away, whatever happened. */
export async function onStage<T>(
  options: BenchOptions,
  say: Say,
  work: (stage: Stage) => Promise<T>,
): Promise<T> {
  const ends: (() => Promise<unknown>)[] = [];
  try {
    const folder = await mkdtemp(join(tmpdir(), 'syncline-bench-'));
    const guardian = startGuardian({ signal: 'TERM', directories: [folder, packageFolder] });
    ends.push(() => rm(folder, { recursive: true, force: true }).then(() => guardian.dismiss()));
    say('Building the worker, starting the servers …');
    ends.push(() => removeBuild());
    const [, source, target, temporal] = await Promise.all([
      buildWorker(),
      openSide(options.servers?.source ?? null, ends),
      openSide(options.servers?.target ?? null, ends),
      openTemporal(ends, say),
    ]);
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
    const withWorker: Stage['withWorker'] = async (use) => {
      const worker = await startBuiltWorker(start);
      try {
        return await use(worker);
      } finally {
        await worker.stop();
      }
    };
    return await work({ source, target, temporal, folder, withWorker });
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

async function openSide(given: string | null, ends: (() => Promise<unknown>)[]): Promise<Side> {
  let server = given;
  if (server === null) {
    const own = await startPostgres({ version: 15, settings: quietSettings });
    ends.push(() => own.stop());
    server = own.url;
  }
  const name = `syncline_bench_${String(process.pid)}_${String(ends.length)}`;
  await once(server, `CREATE DATABASE ${name}`);
  ends.push(() => once(server, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`));
  const url = new URL(server);
  url.pathname = `/${name}`;
  const pool = new pg.Pool({ connectionString: url.href, max: 4 });
  pool.on('error', () => undefined);
  ends.push(() => pool.end());
  return {
    url: url.href,
    query: async <Row>(text: string, values?: readonly unknown[]) => {
      const result = await pool.query(text, values === undefined ? undefined : [...values]);
      return result.rows as Row[];
    },
  };
}

async function once(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

async function openTemporal(ends: (() => Promise<unknown>)[], say: Say): Promise<TemporalAccess> {
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
