import { describe, expect, it } from 'vitest';
import { createLogSource } from '../../../../stores/postgres/log/log-source.ts';
import { ownServer } from './own-server.ts';

/** A server that writes its log late, so that a crash takes commits along that others have seen. */
describe.each([18, 15] as const)('what a snapshot saw, on a PostgreSQL %i that crashes', (version) => {
  const own = ownServer({
    version,
    settings: { wal_writer_delay: '10s' },
    tables: 'CREATE TABLE public.t (id int)',
  });

  async function seen(id: number): Promise<string> {
    const { database } = own();
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
    const { server, database } = own();
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
    await createLogSource(own().sessions).settle('job', mark, new AbortController().signal);
    expect(await isThereAfterCrash(2)).toBe(true);
  });
});
