import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { expect, inject, onTestFinished } from 'vitest';
import { eventually } from './eventually.ts';
import './provided.ts';

/** One fresh database on one of the run's servers, which other tests share: roles and settings are theirs too. */
export interface TestDatabase {
  /** Superuser; holds the password. */
  readonly url: string;
  readonly name: string;
  /** Runs on any of a few sessions: a transaction over several calls needs connect(). int8 and numeric are text. */
  query<Row = Record<string, unknown>>(sql: string, params?: readonly unknown[]): Promise<Row[]>;
  /** A session of its own; drop() ends it, and so does the end of the test that asked for it. */
  connect(): Promise<pg.Client>;
  /** Ends every session in it, drops its replication slots, then the database. */
  drop(): Promise<void>;
}

export interface DatabasePair {
  readonly source: TestDatabase;
  readonly target: TestDatabase;
  drop(): Promise<void>;
}

/** Two databases on two servers of version 18. */
export async function createDatabasePair(): Promise<DatabasePair> {
  const [source, target] = await Promise.all([
    createDatabaseOn(provided('postgresSource')),
    createDatabaseOn(provided('postgresTarget')),
  ]);
  return {
    source,
    target,
    drop: async () => {
      await Promise.all([source.drop(), target.drop()]);
    },
  };
}

/** A database on the source server (18), or on the server of version 15, which starts at the first call. */
export async function createDatabase(version: 18 | 15 = 18): Promise<TestDatabase> {
  if (version === 18) return await createDatabaseOn(provided('postgresSource'));
  const response = await fetch(provided('postgres15'));
  const answer = await response.text();
  if (!response.ok) throw new Error(`The PostgreSQL 15 server did not start: ${answer}`);
  return await createDatabaseOn(answer);
}

/** A database on any server, for tests that start, stop and kill their own. */
export async function createDatabaseOn(serverUrl: string): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`;
  await administrate(serverUrl, [`CREATE DATABASE ${name}`]);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  const pool = new pg.Pool({ connectionString: url.href, max: 4, allowExitOnIdle: true });
  pool.on('error', () => undefined);
  const clients: pg.Client[] = [];
  return {
    url: url.href,
    name,
    query: async <Row>(sql: string, params?: readonly unknown[]): Promise<Row[]> => {
      const result = await pool.query(sql, params === undefined ? undefined : [...params]);
      return result.rows as Row[];
    },
    connect: async () => {
      const client = new pg.Client({ connectionString: url.href });
      client.on('error', () => undefined);
      await client.connect();
      clients.push(client);
      // A transaction that a failed test leaves open would hold up slots and barriers of every other test on the server.
      if (expect.getState().currentTestName !== undefined) onTestFinished(() => endOf(client));
      return client;
    },
    drop: async () => {
      await Promise.all([pool.end(), ...clients.map(endOf)]);
      await administrate(serverUrl, [
        `ALTER DATABASE ${name} ALLOW_CONNECTIONS false`,
        `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '${name}'`,
        `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = '${name}'`,
        `DROP DATABASE ${name} WITH (FORCE)`,
      ]);
    },
  };
}

async function endOf(client: pg.Client): Promise<void> {
  await client.end().catch(() => undefined);
}

/**
 * Every transaction that runs now has ended, those of other tests on the same server too: while one runs, nothing that was
 * written since it began can be proven unchanged (docs/decisions/0010), and a backup writes it again.
 */
export async function runningTransactionsEnd({ query }: Pick<TestDatabase, 'query'>): Promise<void> {
  const [now] = await query<{ xid: string }>('SELECT pg_current_xact_id()::text AS xid');
  await eventually(
    async () => {
      const [oldest] = await query<{ over: boolean }>(
        'SELECT pg_snapshot_xmin(pg_current_snapshot()) > $1::xid8 AS over',
        [now?.xid],
      );
      return oldest?.over === true;
    },
    { waitingFor: 'the end of what ran on the server' },
  );
}

async function administrate(url: string, statements: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

function provided(name: 'postgresSource' | 'postgresTarget' | 'postgres15'): string {
  const value = inject(name) as string | undefined;
  if (value === undefined) {
    throw new Error('This test needs PostgreSQL: name its file *.pg.test.ts or *.e2e.test.ts.');
  }
  return value;
}
