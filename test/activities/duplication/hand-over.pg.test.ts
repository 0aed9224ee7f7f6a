import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ResolvedDuplicationJob } from '../../../definitions/contracts/job.ts';
import { type LinkSketch, linkJob, type LinkStage, openLinkStage } from '../../support/link-job.ts';
import { createDatabase, type DatabasePair, type TestDatabase } from '../../support/postgres.ts';
import { contentOf } from '../../support/table-content.ts';

/** From load to log while the source is written to: what arrives is what is there, row for row. */

const versions = [
  { source: 18, target: 18 },
  { source: 15, target: 18 },
  { source: 18, target: 15 },
] as const;

describe.each(versions)('from $source to $target', (version) => {
  let databases: DatabasePair;
  let stage: LinkStage | null = null;

  beforeAll(async () => {
    const [source, target] = await Promise.all([
      createDatabase(version.source),
      createDatabase(version.target),
    ]);
    databases = {
      source,
      target,
      drop: async () => {
        await Promise.all([source.drop(), target.drop()]);
      },
    };
  });
  afterEach(async () => {
    await stage?.act((all) => all.removeLink({ ...(stage as LinkStage).input, abandon: null }));
    await stage?.close();
    stage = null;
  });
  afterAll(() => databases.drop());

  function open(sketch: LinkSketch): { stage: LinkStage; job: ResolvedDuplicationJob } {
    const job = linkJob(sketch);
    stage = openLinkStage(databases, job);
    return { stage, job };
  }

  it('a partitioned table arrives whole while four sessions write to it', async () => {
    await databases.source.query(`
      CREATE TABLE public.moving (id int, part int, v text, n int, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
      CREATE TABLE public.moving_1 PARTITION OF public.moving FOR VALUES IN (1);
      CREATE TABLE public.moving_2 PARTITION OF public.moving FOR VALUES IN (2);
      CREATE TABLE public.moving_rest PARTITION OF public.moving DEFAULT;
      INSERT INTO public.moving SELECT i, 1 + i % 4, md5(i::text), 0 FROM generate_series(1, 20000) i`);
    const { stage } = open({ tables: ['public.moving'] });
    const stop = writeTo(databases.source, 'public.moving', 4);
    await stage.act((all) => all.beginLink(stage.input));
    const following = stage.follow();
    await stage.load();
    await stop();
    const { totals } = await stage.caughtUp(following);
    await following.stop();
    expect(await contentOf(databases.target, 'public.moving')).toEqual(
      await contentOf(databases.source, 'public.moving'),
    );
    expect(totals.conflicts).toBe(0);
  });

  it('slices that were read at different instants become one table', async () => {
    await databases.source.query(`
      CREATE TABLE public.sliced (id int PRIMARY KEY, part int, v text, n int);
      INSERT INTO public.sliced SELECT i, 1 + i % 4, repeat(md5(i::text), 4), 0 FROM generate_series(1, 20000) i;
      ANALYZE public.sliced`);
    const { stage } = open({ tables: [{ pattern: 'public.sliced', chunkBytes: 400_000 }] });
    const stop = writeTo(databases.source, 'public.sliced', 4);
    await stage.act((all) => all.beginLink(stage.input));
    const following = stage.follow();
    const prepared = await stage.load();
    await stop();
    const { totals } = await stage.caughtUp(following);
    await following.stop();
    expect(prepared?.plan.units).toBeGreaterThan(5);
    expect(await contentOf(databases.target, 'public.sliced')).toEqual(
      await contentOf(databases.source, 'public.sliced'),
    );
    expect(totals.conflicts).toBe(0);
  });

  it('both sides are compared at one instant while sessions write', async () => {
    await databases.source.query(`
      CREATE TABLE public.compared (id int PRIMARY KEY, part int, v text, n int);
      INSERT INTO public.compared SELECT i, 1 + i % 4, md5(i::text), 0 FROM generate_series(1, 5000) i`);
    const { stage } = open({ tables: ['public.compared'] });
    await stage.act((all) => all.beginLink(stage.input));
    const following = stage.follow();
    await stage.load();
    await stage.caughtUp(following);
    await following.stop();
    const stop = writeTo(databases.source, 'public.compared', 4);
    const verified = await stage.act((all) => all.verifyLink({ ...stage.input, mode: 'slow', only: null }));
    expect(verified.different).toEqual([]);
    expect(verified.rows).toBeGreaterThan(1000);
    await databases.target.query('UPDATE public.compared SET v = $$other$$ WHERE id = 2');
    await stop();
    const again = await stage.act((all) => all.verifyLink({ ...stage.input, mode: 'slow', only: null }));
    expect(again.different.map(({ chunk }) => chunk)).toEqual(['public.compared']);
  });
});

/** Sessions that insert, update, move keys and partitions, delete and roll back, until told to stop. Row 2 stays as it is. */
function writeTo(database: TestDatabase, table: string, sessions: number): () => Promise<void> {
  let writing = true;
  const writer = async (number: number): Promise<void> => {
    const client = await database.connect();
    for (let turn = 0; writing; turn += 1) {
      const id = 3 + ((turn * 7919 + number * 104729) % 20000);
      const fresh = 100_000 + number * 1_000_000 + turn;
      await client.query('BEGIN');
      await client.query(`UPDATE ${table} SET n = n + 1, part = 1 + (part + ${turn}) % 4 WHERE id = ${id}`);
      await client.query(`INSERT INTO ${table} VALUES (${fresh}, ${1 + (turn % 4)}, 'w${turn}', 0)`);
      await client.query('SAVEPOINT s');
      await client.query(`DELETE FROM ${table} WHERE id = ${id + 1}`);
      if (turn % 3 === 0) await client.query('ROLLBACK TO s');
      if (turn % 4 === 1) await client.query(`UPDATE ${table} SET id = id + 5000000 WHERE id = ${fresh}`);
      await client.query(turn % 5 === 4 ? 'ROLLBACK' : 'COMMIT');
    }
    await client.end();
  };
  const running = Promise.all(Array.from({ length: sessions }, (_, number) => writer(number)));
  return async () => {
    writing = false;
    await running;
  };
}
