import { access, chmod, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, describe, expect, it } from 'vitest';
import { type PostgresOptions, type PostgresServer, startPostgres } from '../../../worker/local/postgres.ts';
import { childrenOf, sendSignal } from '../../../worker/local/process-tree.ts';
import { eventually } from '../../support/eventually.ts';
import { startOwner } from './owner.ts';

const servers: PostgresServer[] = [];

async function start(options: PostgresOptions = {}): Promise<PostgresServer> {
  const server = await startPostgres(options);
  servers.push(server);
  return server;
}

async function ask(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

async function isThere(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

describe('a local PostgreSQL server', () => {
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => server.stop('immediate')));
  });

  it.each([18, 15] as const)('of version %i answers with the settings that jobs need', async (version) => {
    const server = await start({ version, settings: { work_mem: '7MB' } });
    const [row] = (await ask(
      server.url,
      `SELECT current_setting('server_version_num')::integer / 10000 AS version, current_setting('wal_level') AS wal,
              current_setting('max_replication_slots') AS slots, current_setting('work_mem') AS memory,
              current_setting('server_encoding') AS encoding`,
    )) as [Record<string, unknown>];
    expect(row).toEqual({ version, wal: 'logical', slots: '20', memory: '7MB', encoding: 'UTF8' });
  });

  it('refuses a wrong password', async () => {
    const server = await start();
    const url = new URL(server.url);
    url.password = 'wrong';
    await expect(ask(url.href, 'SELECT 1')).rejects.toMatchObject({ code: '28P01' });
  });

  it('never runs as root, and keeps its data to itself', async () => {
    const server = await start();
    const data = await stat(server.dataDirectory);
    expect(data.uid).not.toBe(0);
    expect(data.mode & 0o077).toBe(0);
  });

  it('keeps what was committed before kill -9', async () => {
    const server = await start();
    await ask(server.url, 'CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n');
    const before = server.pid;
    const backends = childrenOf(before);
    await server.kill();
    for (const pid of [before, ...backends]) {
      await eventually(() => !sendSignal(pid, 0), { waitingFor: 'the end of every process of the server' });
    }
    await expect(ask(server.url, 'SELECT 1')).rejects.toThrow();
    await server.restart();
    expect(await ask(server.url, 'SELECT count(*)::integer AS rows FROM kept')).toEqual([{ rows: 1000 }]);
    expect(server.pid).not.toBe(before);
    expect(backends.length).toBeGreaterThan(0);
  });

  it('removes its temporary directory when it is stopped, more than once too', async () => {
    const server = await start();
    await server.stop();
    await server.stop();
    expect(await isThere(server.dataDirectory)).toBe(false);
    expect(sendSignal(server.pid, 0) && server.pid !== 0).toBe(false);
  });

  it('keeps a named directory, and starts on it again with the same password', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'syncline-named-'));
    try {
      await chmod(folder, 0o755);
      const dataDirectory = join(folder, 'cluster');
      const first = await start({ dataDirectory });
      await ask(first.url, 'CREATE TABLE kept ()');
      await first.stop();
      const second = await start({ dataDirectory, port: first.port });
      expect(second.url).toBe(first.url);
      expect(await ask(second.url, `SELECT to_regclass('kept') IS NOT NULL AS there`)).toEqual([
        { there: true },
      ]);
      await second.stop();
      expect(await isThere(join(dataDirectory, 'PG_VERSION'))).toBe(true);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('says what the server said when it cannot start', async () => {
    await expect(startPostgres({ settings: { max_connections: 'many' } })).rejects.toMatchObject({
      code: 'store.unreachable',
      message: expect.stringContaining('max_connections') as unknown,
    });
  });

  it('does not outlive a killed owner, nor does its directory', async () => {
    const owner = await startOwner('postgres');
    const { pid, dataDirectory } = owner.server;
    const postmaster = await readFile(join(dataDirectory ?? '', 'postmaster.pid'), 'utf8');
    expect(Number(postmaster.split('\n')[0])).toBe(pid);
    await owner.kill();
    await eventually(() => !sendSignal(pid, 0), { waitingFor: 'the end of the server' });
    await eventually(async () => !(await isThere(dataDirectory ?? '/')), {
      waitingFor: 'the removal of its data',
    });
  });
});
