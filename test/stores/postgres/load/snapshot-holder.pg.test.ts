import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { postgresModule } from '../../../../stores/postgres/module.ts';
import type { HeldSnapshot } from '../../../../stores/spi/chunk-source.ts';
import { requireCapability, type Store } from '../../../../stores/spi/store.ts';
import { eventually } from '../../../support/eventually.ts';
import { createDatabase, type TestDatabase } from '../../../support/postgres.ts';
import { read, type Read } from './marked.ts';

describe.each([18, 15] as const)('a snapshot that is held, on PostgreSQL %i', (version) => {
  let database: TestDatabase;
  let store: Store;

  beforeAll(async () => {
    database = await createDatabase(version);
    store = postgresModule.open('source', {
      kind: 'postgres',
      url: database.url,
      connections: 4,
      connectTimeoutMs: 10_000,
    });
  });
  afterAll(async () => {
    await store.close();
    await database.drop();
  });

  const hold = (signal = new AbortController().signal): Promise<HeldSnapshot> =>
    requireCapability(store, 'snapshotHolder').hold('job', signal);
  const make = (): Promise<unknown> =>
    database.query(`DROP SCHEMA public CASCADE; CREATE SCHEMA public;
      CREATE TABLE public.t (id int, v text); INSERT INTO public.t SELECT i, 'v' FROM generate_series(1, 50) i;
      CREATE TABLE public.u (id int, v text); INSERT INTO public.u SELECT i, 'v' FROM generate_series(1, 50) i`);
  const holders = (): Promise<{ pid: number }[]> =>
    database.query(
      `SELECT pid FROM pg_stat_activity WHERE application_name = 'syncline/job/snapshot' AND state LIKE 'idle in%'`,
    );
  const under = (snapshot: HeldSnapshot, leaf = 't'): Promise<Read> =>
    read(store, leaf, { snapshot: snapshot.id });

  it('shows all readings the same rows, whatever happens meanwhile', async () => {
    await make();
    const held = await hold();
    const before = await Promise.all([under(held), under(held, 'u')]);
    await database.query(`UPDATE public.t SET v = 'x'; DELETE FROM public.u`);
    const after = await Promise.all([under(held), under(held, 'u')]);
    expect(after.map((each) => each.digest)).toEqual(before.map((each) => each.digest));
    expect(after.map((each) => each.earlier?.content.snapshot)).toEqual([
      held.mark.snapshot,
      held.mark.snapshot,
    ]);
    expect((await read(store, 't')).digest).not.toBe(after[0].digest);
    await held.close();
    await held.close();
    expect(await holders()).toEqual([]);
  });

  it.each([
    ['emptied', 'TRUNCATE public.t'],
    ['rewritten', 'ALTER TABLE public.t ALTER id TYPE bigint'],
    ['replaced', `BEGIN; ALTER TABLE public.t RENAME TO old; CREATE TABLE public.t (id int, v text); COMMIT`],
    ['exchanged', 'BEGIN; ALTER TABLE public.t RENAME TO x; ALTER TABLE public.u RENAME TO t; COMMIT'],
    ['given a column anew', 'ALTER TABLE public.t DROP v; ALTER TABLE public.t ADD v text'],
  ])('is no way to read a chunk that was %s since, which would look empty', async (_what, statements) => {
    await make();
    const held = await hold();
    await database.query(statements);
    await expect(under(held)).rejects.toMatchObject({ code: 'source.chunkChanged' });
    await held.close();
  });

  it('says so when its session ends, and readings say that it is lost', async () => {
    await make();
    const held = await hold();
    const [holder] = await holders();
    await database.query('SELECT pg_terminate_backend($1)', [holder?.pid]);
    expect(await held.lost).toMatch(/ended/);
    await expect(under(held)).rejects.toMatchObject({ code: 'source.snapshotLost' });
    await held.close();
    for (const id of ['00000003-0000001B-1', 'nonsense', "it's"])
      await expect(read(store, 't', { snapshot: id }), id).rejects.toMatchObject({
        code: 'source.snapshotLost',
      });
  });

  it('of another database is none', async () => {
    await make();
    const other = await createDatabase(version);
    const client = await other.connect();
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    const [exported] = (await client.query<{ id: string }>('SELECT pg_export_snapshot() AS id')).rows;
    await expect(read(store, 't', { snapshot: exported?.id ?? '' })).rejects.toMatchObject({
      code: 'source.snapshotLost',
    });
    await other.drop();
  });

  it('is let go when its signal aborts, without being called lost', async () => {
    await make();
    const stop = new AbortController();
    const held = await hold(stop.signal);
    let lost = false;
    void held.lost.then(() => (lost = true));
    stop.abort();
    await eventually(async () => (await holders()).length === 0);
    expect(lost).toBe(false);
    await held.close();
    // Its session went back: there are as many as before.
    const again = await Promise.all([hold(), hold()]);
    await Promise.all(again.map((each) => each.close()));
  });

  it('ends with the sessions of its job', async () => {
    await make();
    const held = await hold();
    expect(await requireCapability(store, 'chunkSource').endSessions('job')).toBe(1);
    expect(await held.lost).toMatch(/ended/);
  });
});
