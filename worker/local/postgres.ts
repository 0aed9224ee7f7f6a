import { type ChildProcess, spawn } from 'node:child_process';
import { openSync, closeSync } from 'node:fs';
import { chown, readFile, rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { dirname } from 'node:path';
import pg from 'pg';
import { SynclineError } from '../../definitions/errors.ts';
import { findFreePort } from './free-port.ts';
import { type Guardian, startGuardian } from './guardian.ts';
import { findPostgresBinaries, type PostgresBinaries, type PostgresVersion } from './postgres-binaries.ts';
import {
  type ClusterDirectory,
  initCluster,
  locateCluster,
  makeTemporaryFolder,
} from './postgres-directory.ts';
import { killWithChildren } from './process-tree.ts';
import { serverAccount, type ServerAccount } from './server-account.ts';

export interface PostgresOptions {
  /** Default 18. */
  readonly version?: PostgresVersion;
  /** Kept when the server stops. Absent: a temporary one, removed with the server. */
  readonly dataDirectory?: string;
  /** Absent: a free one. */
  readonly port?: number;
  /** True: commits reach the disk. Default false: they survive a killed server, not a power cut. */
  readonly durable?: boolean;
  /** Server settings in postgresql.conf's own words. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** A PostgreSQL server on 127.0.0.1 that ends with this process, however this process ends. */
export interface PostgresServer {
  /** Superuser `postgres`, database `postgres`. Holds the password. */
  readonly url: string;
  readonly port: number;
  readonly version: PostgresVersion;
  /** Of the postmaster; another one after restart(). */
  readonly pid: number;
  readonly dataDirectory: string;
  /** Ends the server and removes a temporary data directory. `fast` rolls back what runs. Idempotent. */
  stop(mode?: 'fast' | 'immediate'): Promise<void>;
  /** kill -9 of the server and all its backends. The data stay for restart(). */
  kill(): Promise<void>;
  /** The same data on the same port; crash recovery included. A running server is stopped fast first. */
  restart(): Promise<void>;
}

const startDeadlineMs = 3 * 60_000;

/** Resolves when the server answers. Errors: `store.unsupported` (no binaries), `store.unreachable`. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const account = serverAccount();
  const binaries = await findPostgresBinaries(options.version ?? 18, account);
  const temporary = options.dataDirectory === undefined ? await makeTemporaryFolder(account) : null;
  const guardian = startGuardian({ signal: 'QUIT', directories: temporary === null ? [] : [temporary] });
  try {
    const directory = await locateCluster(temporary, options.dataDirectory);
    await initCluster(directory, { binaries, account });
    return await startOnFreePort({ options, account, binaries, directory, guardian });
  } catch (error) {
    if (temporary !== null) await rm(temporary, { recursive: true, force: true });
    guardian.dismiss();
    throw error;
  }
}

interface Ingredients {
  readonly options: PostgresOptions;
  readonly account: ServerAccount | null;
  readonly binaries: PostgresBinaries;
  readonly directory: ClusterDirectory;
  readonly guardian: Guardian;
}

async function startOnFreePort(ingredients: Ingredients): Promise<PostgresServer> {
  for (let attempt = 1; ; attempt += 1) {
    const server = new LocalPostgres(ingredients, ingredients.options.port ?? (await findFreePort()));
    try {
      await server.start();
      return server;
    } catch (error) {
      // Between finding a free port and binding it somebody else may take it.
      const taken = error instanceof SynclineError && error.message.includes('could not bind');
      if (!taken || ingredients.options.port !== undefined || attempt === 3) throw error;
    }
  }
}

class LocalPostgres implements PostgresServer {
  readonly port: number;
  readonly version: PostgresVersion;
  readonly dataDirectory: string;
  readonly url: string;
  private readonly ingredients: Ingredients;
  private child: ChildProcess | null = null;
  private stopped = false;

  constructor(ingredients: Ingredients, port: number) {
    this.ingredients = ingredients;
    this.port = port;
    this.version = ingredients.options.version ?? 18;
    this.dataDirectory = ingredients.directory.data;
    this.url = `postgres://postgres:${ingredients.directory.password}@127.0.0.1:${port}/postgres`;
  }

  get pid(): number {
    return this.child?.pid ?? 0;
  }

  async start(): Promise<void> {
    const { account, binaries, directory, guardian } = this.ingredients;
    const log = openSync(directory.logFile, 'a');
    if (account !== null) await chown(directory.logFile, account.uid, account.gid);
    const child = spawn(binaries.postgres, this.arguments(), {
      ...account,
      // Not in our process group: Ctrl-C is for us, and we stop the server in order.
      detached: true,
      stdio: ['ignore', log, log],
      cwd: dirname(directory.data),
      env: { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' },
    });
    closeSync(log);
    child.on('error', () => undefined);
    if (child.pid !== undefined) guardian.watch(child.pid);
    child.once('exit', () => {
      if (this.child !== child) return;
      this.child = null;
      guardian.forget();
    });
    child.unref();
    this.child = child;
    await this.waitUntilReady();
  }

  async stop(mode: 'fast' | 'immediate' = 'fast'): Promise<void> {
    if (this.stopped) return;
    this.stopped = true;
    await this.end((pid) => void process.kill(pid, mode === 'fast' ? 'SIGINT' : 'SIGQUIT'));
    const { temporary } = this.ingredients.directory;
    if (temporary !== null) await rm(temporary, { recursive: true, force: true });
    this.ingredients.guardian.dismiss();
  }

  async kill(): Promise<void> {
    await this.end(killWithChildren);
  }

  async restart(): Promise<void> {
    if (this.stopped) throw new SynclineError('store.unreachable', 'This server was stopped for good.');
    await this.end((pid) => void process.kill(pid, 'SIGINT'));
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.start();
        return;
      } catch (error) {
        // Backends of a killed server may take a moment to die; until then the new one refuses to start.
        const lingering = error instanceof SynclineError && error.message.includes('shared memory block');
        if (!lingering || attempt === 50) throw error;
        await delay(100);
      }
    }
  }

  private async end(signal: (pid: number) => void): Promise<void> {
    const { child } = this;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.ref();
    signal(child.pid);
    await exited;
  }

  private arguments(): string[] {
    const settings = { ...baseSettings, ...durability(this.ingredients.options.durable === true) };
    const all = { ...settings, ...this.ingredients.options.settings, port: String(this.port) };
    return [
      '-D',
      this.dataDirectory,
      ...Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ];
  }

  private async waitUntilReady(): Promise<void> {
    const deadline = Date.now() + startDeadlineMs;
    while (!(await accepts(this.url))) {
      if (this.child === null || Date.now() > deadline) {
        await this.end(killWithChildren);
        const log = await logTail(this.ingredients.directory.logFile);
        throw new SynclineError(
          'store.unreachable',
          `The local PostgreSQL ${this.version} did not start:\n${log}`,
        );
      }
      await delay(30);
    }
  }
}

/** Enough for every job kind: logical replication, many partitions in one transaction, prepared transactions. */
const baseSettings: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  wal_level: 'logical',
  max_connections: '200',
  max_wal_senders: '20',
  max_replication_slots: '20',
  max_prepared_transactions: '10',
  max_locks_per_transaction: '256',
  max_wal_size: '2GB',
};

/**
 * Only what a power cut needs is left out. full_page_writes stays on: a kill -9 can interrupt the write of a page
 * half-way, and the tests do kill servers.
 */
function durability(durable: boolean): Readonly<Record<string, string>> {
  return durable ? {} : { fsync: 'off' };
}

async function accepts(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('SELECT 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** What the server said last; it has no statement of ours yet, so no row either. */
async function logTail(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '(no log)');
  return text.trimEnd().split('\n').slice(-5).join('\n');
}
