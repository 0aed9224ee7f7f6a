import { randomBytes } from 'node:crypto';
import pg from 'pg';

/** A database on any server; every call opens its own session, so a server may be killed between two calls. */
export interface LabDatabase {
  readonly url: string;
  readonly name: string;
  query<Row = Record<string, unknown>>(sql: string): Promise<Row[]>;
  /** With its sessions and replication slots. */
  drop(): Promise<void>;
}

export async function createLabDatabase(serverUrl: string): Promise<LabDatabase> {
  const name = `lab_${randomBytes(6).toString('hex')}`;
  await queryOnce(serverUrl, `CREATE DATABASE ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    name,
    query: <Row>(sql: string) => queryOnce<Row>(url.href, sql),
    drop: async () => {
      await queryOnce(serverUrl, `ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
      await queryOnce(
        serverUrl,
        `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '${name}';
         SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = '${name}'`,
      );
      await queryOnce(serverUrl, `DROP DATABASE ${name} WITH (FORCE)`);
    },
  };
}

/** Several statements are allowed; the rows are those of the last one. */
export async function queryOnce<Row = Record<string, unknown>>(url: string, sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const result = (await client.query(sql)) as unknown as pg.QueryResult | pg.QueryResult[];
    const last = Array.isArray(result) ? result.at(-1) : result;
    return (last?.rows ?? []) as Row[];
  } finally {
    await client.end().catch(() => undefined);
  }
}
