import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type PostgresServer, startPostgres } from '../../../worker/local/postgres.ts';
import { positionOfLsn } from '../../../stores/postgres/log/positions.ts';
import { eventually } from '../../support/eventually.ts';
import {
  type Following,
  type LinkSketch,
  linkJob,
  type LinkStage,
  openLinkStage,
} from '../../support/link-job.ts';
import { createDatabase, createDatabaseOn, type TestDatabase } from '../../support/postgres.ts';

/** A source of its own, on which nothing happens but what a test does: others would write to the log of a shared one. */

let server: PostgresServer;
let source: TestDatabase;
let elsewhere: TestDatabase;
let target: TestDatabase;
let stage: LinkStage;
let following: Following;

beforeAll(async () => {
  server = await startPostgres({ settings: { autovacuum: 'off' } });
  [source, elsewhere] = [await createDatabaseOn(server.url), await createDatabaseOn(server.url)];
  target = await createDatabase();
  await elsewhere.query('CREATE TABLE public.busy (id int, v text)');
});
afterAll(async () => {
  for (const database of [source, elsewhere, target]) await database.drop();
  await server.stop('immediate');
});
beforeEach(async () => {
  for (const database of [source, target]) await database.query('DROP SCHEMA IF EXISTS still CASCADE');
  await source.query(`CREATE SCHEMA still; CREATE TABLE still.followed (id int PRIMARY KEY);
    CREATE TABLE public.unfollowed (id int, v text); INSERT INTO still.followed VALUES (1)`);
});
afterEach(async () => {
  await following.stop().catch(() => undefined);
  await stage.act((all) => all.removeLink({ ...stage.input, abandon: null }));
  await stage.close();
  await source.query('DROP TABLE public.unfollowed');
});

/** A consistent link, and a list of all times that its row on the target moves. */
async function begin(log: LinkSketch['log'] = {}): Promise<void> {
  stage = openLinkStage({ source, target }, linkJob({ tables: ['still.*'], log }));
  await stage.act((all) => all.beginLink(stage.input));
  following = stage.follow();
  await stage.load();
  await stage.caughtUp(following);
  await target.query(`DROP TABLE IF EXISTS public.moves; CREATE TABLE public.moves (at timestamptz);
    CREATE OR REPLACE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      INSERT INTO public.moves VALUES (clock_timestamp()); RETURN NULL; END $$;
    CREATE TRIGGER note AFTER UPDATE ON syncline.link FOR EACH STATEMENT EXECUTE FUNCTION public.note();
    ALTER TABLE syncline.link ENABLE ALWAYS TRIGGER note`);
}

/** Milliseconds between each two commits that moved the link. */
async function pauses(): Promise<number[]> {
  const moves = await target.query<{ ms: number }>(
    'SELECT extract(epoch FROM at)::float8 * 1000 AS ms FROM public.moves ORDER BY at',
  );
  return moves.slice(1).map(({ ms }, index) => ms - (moves[index]?.ms ?? 0));
}

async function end(): Promise<string> {
  const [row] = await source.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
  return positionOfLsn(row?.lsn ?? '');
}

/** Where the log is confirmed to, and how much of it the server keeps for the slot. */
async function slot(): Promise<{ readonly confirmed: string; readonly keptBytes: number }> {
  const [row] = await source.query<{ confirmed: string; kept: string }>(
    `SELECT confirmed_flush_lsn::text AS confirmed, pg_current_wal_lsn() - restart_lsn AS kept FROM pg_replication_slots`,
  );
  return { confirmed: positionOfLsn(row?.confirmed ?? ''), keptBytes: Number(row?.kept) };
}

async function batches(): Promise<number> {
  return (await target.query('SELECT 1 FROM syncline.batch')).length;
}

const others: Readonly<Record<string, (turn: number) => Promise<unknown>>> = {
  'in another database': (turn) =>
    elsewhere.query(
      `INSERT INTO public.busy SELECT ${turn}, repeat('x', 1000) FROM generate_series(1, 4000)`,
    ),
  'to another table': (turn) =>
    source.query(
      `INSERT INTO public.unfollowed SELECT ${turn}, repeat('x', 1000) FROM generate_series(1, 4000)`,
    ),
};

describe.each(['sync', 'async'] as const)(
  'a source on which only others write, durability %s',
  (durability) => {
    it.each(Object.entries(others))(
      '%s: the slot moves along, with few commits on the target',
      async (_who, write) => {
        await begin({ durability });
        const [linesBefore, slotBefore] = [await batches(), await slot()];
        // Far more than the server may keep for us at the end, over several of the commits that are allowed.
        let turns = 0;
        await eventually(async () => {
          await write((turns += 1));
          return turns >= 15 && (await pauses()).length >= 3;
        });
        const written = await end();
        // The server looks for a later place to begin from when it writes down who runs.
        await source.query('CHECKPOINT');
        await eventually(async () => (await slot()).confirmed >= written);
        await eventually(async () => {
          await source.query('CHECKPOINT');
          return (await slot()).keptBytes < 4_000_000;
        });
        expect((await slot()).confirmed > slotBefore.confirmed).toBe(true);
        expect(Math.min(...(await pauses()))).toBeGreaterThan(990);
        // No lines of batches that carried nothing.
        expect(await batches()).toBe(linesBefore);
        expect(following.failure()).toBeNull();
      },
    );
  },
);

describe('a source on which nothing is written', () => {
  it('has no lag, nothing is written for it on either side, and the next change comes', async () => {
    await begin();
    await eventually(() => following.progress().lagBytes === 0);
    let [before, moves] = [await end(), (await pauses()).length];
    await eventually(
      async () => {
        const [earlier, earlierMoves] = [before, moves];
        [before, moves] = [await end(), (await pauses()).length];
        return before === earlier && moves === earlierMoves;
      },
      { everyMs: 2_000 },
    );
    // Twice what passes between two looks at the slot, which may make the source write.
    await delay(11_000);
    expect(await end()).toBe(before);
    expect((await pauses()).length).toBe(moves);
    expect(following.progress()).toMatchObject({ lagBytes: 0, lagMs: 0 });
    await source.query('INSERT INTO still.followed VALUES (2)');
    await stage.caughtUp(following);
    expect(await target.query('SELECT id FROM still.followed ORDER BY id')).toEqual([{ id: 1 }, { id: 2 }]);
  });
});
