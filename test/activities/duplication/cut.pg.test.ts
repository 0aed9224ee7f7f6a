import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { linkJob, type LinkStage, openLinkStage } from '../../support/link-job.ts';
import { createDatabasePair, type DatabasePair, type TestDatabase } from '../../support/postgres.ts';

/** A copy that is one instant of its source, without a snapshot that is held or a lock. */

let databases: DatabasePair;
let stage: LinkStage;

beforeAll(async () => {
  databases = await createDatabasePair();
});
afterEach(() => stage.close());
afterAll(() => databases.drop());

describe('a link that ends at a cut', () => {
  it('is equal to one instant: what moves between two tables is never missing and never there twice', async () => {
    await databases.source.query(`
      CREATE TABLE public.left (id int PRIMARY KEY, amount int); CREATE TABLE public.right (id int PRIMARY KEY, amount int);
      CREATE TABLE public.moves (id bigint PRIMARY KEY, amount int);
      INSERT INTO public.left SELECT i, 1000 FROM generate_series(1, 3000) i;
      INSERT INTO public.right SELECT i, 1000 FROM generate_series(1, 3000) i`);
    stage = openLinkStage(databases, linkJob({ tables: ['public.left', 'public.right', 'public.moves'] }));
    const stop = move(databases.source, 4);
    await stage.act((all) => all.beginLink(stage.input));
    const following = stage.follow();
    await stage.load();
    await following.stop();
    const { consistentAt } = await stage.act((all) => all.cutLink({ ...stage.input, mode: 'slow' }));
    await stage.act((all) => all.endLink(stage.input));
    await stop();
    const [sums] = await databases.target.query<Record<'left' | 'right' | 'moved' | 'moves', string>>(
      `SELECT (SELECT sum(amount) FROM public.left) AS left, (SELECT sum(amount) FROM public.right) AS right,
              (SELECT sum(amount) FROM public.moves) AS moved, (SELECT count(*) FROM public.moves) AS moves`,
    );
    expect(consistentAt).toMatch(/^[0-9a-f]{16}$/);
    expect(Number(sums?.moves)).toBeGreaterThan(0);
    expect(Number(sums?.left)).toBe(3_000_000 - Number(sums?.moved));
    expect(Number(sums?.right)).toBe(3_000_000 + Number(sums?.moved));
    expect(await leftovers(databases.source)).toEqual({ slots: '0', publications: '0' });
  });
});

async function leftovers(database: TestDatabase) {
  const [row] = await database.query(
    `SELECT (SELECT count(*) FROM pg_replication_slots WHERE database = current_database()) AS slots,
            (SELECT count(*) FROM pg_publication) AS publications`,
  );
  return row;
}

/** Sessions that take from one table and give to the other, and write down how much, until told to stop. */
function move(database: TestDatabase, sessions: number): () => Promise<void> {
  let moving = true;
  const mover = async (number: number): Promise<void> => {
    const client = await database.connect();
    for (let turn = 0; moving; turn += 1) {
      const id = 1 + ((turn * 7919 + number * 104729) % 3000);
      const amount = 1 + (turn % 9);
      await client.query('BEGIN');
      await client.query(`UPDATE public.left SET amount = amount - ${amount} WHERE id = ${id}`);
      await client.query(`INSERT INTO public.moves VALUES (${number * 1_000_000 + turn}, ${amount})`);
      await client.query(`UPDATE public.right SET amount = amount + ${amount} WHERE id = ${3001 - id}`);
      await client.query('COMMIT');
    }
    await client.end();
  };
  const running = Promise.all(Array.from({ length: sessions }, (_, number) => mover(number)));
  return async () => {
    moving = false;
    await running;
  };
}
