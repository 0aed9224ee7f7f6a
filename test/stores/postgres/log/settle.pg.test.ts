import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Store } from '../../../../stores/spi/store.ts';
import { requireCapability } from '../../../../stores/spi/store.ts';
import { type PostgresServer, startPostgres } from '../../../../worker/local/postgres.ts';
import { createDatabaseOn, type TestDatabase } from '../../../support/postgres.ts';
import { openStore } from './followed.ts';

/** A server that writes its log late, so that a crash takes commits along that others have seen. */
describe.each([18, 15] as const)('what a snapshot saw, on a PostgreSQL %i that crashes', (version) => {
  let server: PostgresServer;
  let database: TestDatabase;
  let store: Store;

  beforeAll(async () => {
    server = await startPostgres({ version, settings: { wal_writer_delay: '10s' } });
    database = await createDatabaseOn(server.url);
    store = openStore(database.url);
    await database.query('CREATE TABLE public.t (id int)');
  });
  afterAll(async () => {
    await store.close();
    await database.drop();
    await server.stop('immediate');
  });

  async function seen(id: number): Promise<string> {
    const client = await database.connect();
    await client.query('SET synchronous_commit = off');
    await client.query('INSERT INTO public.t VALUES ($1)', [id]);
    await client.end();
    const [row] = await database.query<{ at: string; n: string }>(
      `SELECT pg_current_wal_insert_lsn()::text AS at, count(*) AS n FROM public.t WHERE id = ${String(id)}`,
    );
    expect(row?.n).toBe('1');
    return row?.at ?? '';
  }

  async function isThereAfterCrash(id: number): Promise<boolean> {
    await server.kill();
    await server.restart();
    const [row] = await database.query<{ n: string }>(
      `SELECT count(*) AS n FROM public.t WHERE id = ${String(id)}`,
    );
    return row?.n === '1';
  }

  it('may be lost, and is not once it is settled', async () => {
    await seen(1);
    expect(await isThereAfterCrash(1)).toBe(false);
    const insertPosition = await seen(2);
    const mark = { snapshot: '', insertPosition, systemId: '', timeline: 1 };
    await requireCapability(store, 'logSource').settle('job', mark, new AbortController().signal);
    expect(await isThereAfterCrash(2)).toBe(true);
  });
});
