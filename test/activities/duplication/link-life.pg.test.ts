import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import {
  type Following,
  type LinkSketch,
  linkJob,
  type LinkStage,
  openLinkStage,
} from '../../support/link-job.ts';
import { createDatabasePair, type DatabasePair, type TestDatabase } from '../../support/postgres.ts';
import { contentOf } from '../../support/table-content.ts';

/** What happens to a link while it lives: tables come, wait, fail and go; nothing of it stays when it is removed. */

let databases: DatabasePair;
let stage: LinkStage;
let following: Following | null = null;

beforeAll(async () => {
  databases = await createDatabasePair();
});
beforeEach(async () => {
  for (const database of [databases.source, databases.target])
    await database.query('DROP SCHEMA IF EXISTS life CASCADE');
  await databases.source.query(`CREATE SCHEMA life;
    CREATE TABLE life.one (id int PRIMARY KEY, v text); INSERT INTO life.one SELECT i, 'a' FROM generate_series(1, 100) i;
    CREATE TABLE life.two (id int PRIMARY KEY, v text); INSERT INTO life.two SELECT i, 'a' FROM generate_series(1, 100) i`);
});
afterEach(async () => {
  await following?.stop().catch(() => undefined);
  following = null;
  await stage.act((all) => all.removeLink({ ...stage.input, abandon: null }));
  await stage.close();
});
afterAll(() => databases.drop());

async function begin(sketch: Partial<LinkSketch> = {}): Promise<Following> {
  stage = openLinkStage(databases, linkJob({ tables: ['life.*'], ...sketch }));
  const begun = await stage.act((all) => all.beginLink(stage.input));
  following = stage.follow();
  if (begun.loads) await stage.load();
  await stage.caughtUp(following);
  return following;
}

async function expectEqual(table: string): Promise<void> {
  expect(await contentOf(databases.target, table)).toEqual(await contentOf(databases.source, table));
}

describe('tables that join', () => {
  it('a table that matches the names of the job is loaded and followed, the others go on', async () => {
    const follow = await begin();
    await databases.source.query(`CREATE TABLE life.three (id int PRIMARY KEY, v text);
      INSERT INTO life.three SELECT i, 'a' FROM generate_series(1, 50) i`);
    await stage.load('link:1/1');
    await databases.source.query(
      `INSERT INTO life.three VALUES (51, 'b'); UPDATE life.one SET v = 'b' WHERE id < 10`,
    );
    await stage.caughtUp(follow);
    for (const table of ['life.one', 'life.three']) await expectEqual(table);
  });

  it('rows of a new partition wait until it is loaded, and come once', async () => {
    await databases.source
      .query(`CREATE TABLE life.parts (id int, p int, PRIMARY KEY (id, p)) PARTITION BY LIST (p);
      CREATE TABLE life.parts_1 PARTITION OF life.parts FOR VALUES IN (1); INSERT INTO life.parts VALUES (1, 1)`);
    const follow = await begin();
    await databases.source.query(`CREATE TABLE life.parts_2 PARTITION OF life.parts FOR VALUES IN (2);
      INSERT INTO life.parts SELECT i, 2 FROM generate_series(1, 50) i;
      CREATE TABLE life.parts_3 (id int NOT NULL, p int NOT NULL, PRIMARY KEY (id, p));
      INSERT INTO life.parts_3 SELECT i, 3 FROM generate_series(1, 50) i;
      ALTER TABLE life.parts ATTACH PARTITION life.parts_3 FOR VALUES IN (3);
      INSERT INTO life.parts VALUES (51, 3)`);
    await eventually(() => follow.whys.includes('tables'));
    await stage.load('link:1/1');
    await databases.source.query('DELETE FROM life.parts WHERE id = 7');
    await stage.caughtUp(follow);
    await expectEqual('life.parts');
  });
});

describe('tables that are held', () => {
  it('changes of a paused table wait in the spool, and come in order when it goes on', async () => {
    const follow = await begin();
    await follow.stop();
    await stage.act((all) => all.setLinkTable({ ...stage.input, table: 'life.two', state: 'paused' }));
    following = stage.follow();
    await databases.source.query(`UPDATE life.two SET v = 'b'; UPDATE life.two SET v = 'c' WHERE id < 50;
      DELETE FROM life.two WHERE id = 1; INSERT INTO life.two VALUES (1, 'again'); UPDATE life.one SET v = 'b'`);
    await eventually(async () =>
      (await contentOf(databases.target, 'life.one')).every((row) => row.includes('b')),
    );
    expect((await contentOf(databases.target, 'life.two')).every((row) => row.includes('a'))).toBe(true);
    await following.stop();
    const progress = await stage.act((all) =>
      all.setLinkTable({ ...stage.input, table: 'life.two', state: 'live' }),
    );
    expect(progress.spooledChanges).toBeGreaterThan(100);
    following = stage.follow();
    await stage.caughtUp(following);
    await expectEqual('life.two');
  });

  it('a removed table is left alone', async () => {
    const follow = await begin();
    await follow.stop();
    await stage.act((all) => all.setLinkTable({ ...stage.input, table: 'life.two', state: 'removed' }));
    following = stage.follow();
    await databases.source.query(`UPDATE life.two SET v = 'b'; UPDATE life.one SET v = 'b'`);
    await stage.caughtUp(following);
    await expectEqual('life.one');
    expect((await contentOf(databases.target, 'life.two')).every((row) => row.includes('a'))).toBe(true);
  });

  it('slow: a table that the target refuses waits, the others go on, and it comes when the target was mended', async () => {
    const follow = await begin({ job: { onFailure: slow } });
    await databases.target.query('ALTER TABLE life.two ADD CONSTRAINT no_c CHECK (v <> $$c$$)');
    await databases.source.query(`UPDATE life.two SET v = 'c' WHERE id = 5; UPDATE life.one SET v = 'b'`);
    await eventually(async () =>
      (await contentOf(databases.target, 'life.one')).every((row) => row.includes('b')),
    );
    await eventually(() =>
      follow.progress().tables?.some(({ table, state }) => table === 'life.two' && state === 'failing'),
    );
    await databases.source.query(`UPDATE life.two SET v = 'd' WHERE id = 6`);
    await databases.target.query('ALTER TABLE life.two DROP CONSTRAINT no_c');
    await stage.caughtUp(follow);
    await expectEqual('life.two');
  });
});

describe('transactions that the target refuses', () => {
  it('skip: the one is set aside whole, those around it come, and it is applied when asked for later', async () => {
    const follow = await begin({ job: { onFailure: { ...slow, mode: 'skip' } } });
    await databases.target.query('ALTER TABLE life.two ADD CONSTRAINT no_c CHECK (v <> $$c$$)');
    await follow.stop();
    for (let id = 1; id <= 20; id += 1) {
      const value = id === 11 ? 'c' : 'b';
      await databases.source.query(
        `BEGIN; UPDATE life.one SET v = '${value}' WHERE id = ${id}; UPDATE life.two SET v = '${value}' WHERE id = ${id}; COMMIT`,
      );
    }
    following = stage.follow();
    const { totals } = await stage.caughtUp(following);
    expect(totals.deadTransactions).toBe(1);
    expect(await valueOf(databases.target, 'life.one', 11)).toBe('a');
    expect(await valueOf(databases.target, 'life.one', 12)).toBe('b');
    expect(await valueOf(databases.target, 'life.two', 20)).toBe('b');
    await following.stop();
    await databases.target.query('ALTER TABLE life.two DROP CONSTRAINT no_c');
    const retried = await stage.act((all) => all.retryDeadTransactions(stage.input));
    expect(retried.retried).toBe(1);
    expect(retried.progress.deadTransactions).toBe(0);
    for (const table of ['life.one', 'life.two']) await expectEqual(table);
  });

  it('stop: it fails with the code and the name of the table, and nothing of the batch is there', async () => {
    const follow = await begin();
    await databases.target.query('ALTER TABLE life.two ADD CONSTRAINT no_c CHECK (v <> $$c$$)');
    await databases.source.query(`UPDATE life.two SET v = 'c' WHERE id = 5`);
    await eventually(() => follow.failure() !== null);
    expect(follow.failure()).toMatchObject({ code: 'target.constraint' });
    expect(await valueOf(databases.target, 'life.two', 5)).toBe('a');
    await databases.target.query('ALTER TABLE life.two DROP CONSTRAINT no_c');
    following = stage.follow();
    await stage.caughtUp(following);
    await expectEqual('life.two');
  });
});

describe('loading again', () => {
  it('a chunk that was changed on the target is found and loaded again while the log is followed', async () => {
    const follow = await begin();
    await databases.target.query(`DELETE FROM life.two WHERE id < 10`);
    await follow.stop();
    const verified = await stage.act((all) => all.verifyLink({ ...stage.input, mode: 'slow', only: null }));
    expect(verified.different).toEqual([{ chunk: 'life.two', sourceRows: 100, targetRows: 91 }]);
    const prepared = await stage.load('link:1/1', ['life.two']);
    await databases.source.query(`UPDATE life.two SET v = 'b' WHERE id > 90`);
    following = stage.follow();
    await stage.caughtUp(following);
    await expectEqual('life.two');
    expect(prepared?.plan.units).toBe(1);
  });

  it('a slot that somebody dropped is noticed; the next generation loads again and is equal', async () => {
    const follow = await begin();
    await follow.stop();
    await databases.source.query(
      `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()`,
    );
    await databases.source.query(`UPDATE life.two SET v = 'b' WHERE id > 90`);
    following = stage.follow();
    await eventually(() => following?.failure() !== null);
    expect(following.failure()).toMatchObject({ code: 'log.slotLost' });
    await stage.close();
    stage = openLinkStage(databases, stage.input.job, { generation: 2 });
    const begun = await stage.act((all) => all.beginLink(stage.input));
    expect(begun.generation).toBe(2);
    following = stage.follow();
    await stage.load('link:2');
    await stage.caughtUp(following);
    for (const table of ['life.one', 'life.two']) await expectEqual(table);
  });
});

describe('the ends of a link', () => {
  it('a checkpoint that is taken back while it waits leaves no log to be kept', async () => {
    stage = openLinkStage(databases, linkJob({ tables: ['life.*'] }));
    const writer = await databases.source.connect();
    await writer.query(`BEGIN; UPDATE life.one SET v = 'b' WHERE id = 1`);
    const pause = new AbortController();
    const beginning = stage.act((all) => all.beginLink(stage.input), pause.signal);
    const kept = async (): Promise<number> =>
      (
        await databases.source.query(
          `SELECT slot_name FROM pg_replication_slots WHERE database = current_database() UNION ALL SELECT pubname FROM pg_publication`,
        )
      ).length;
    // The slot, and two publications: of tables with updates, and of those without.
    await eventually(async () => (await kept()) === 3);
    pause.abort();
    await expect(beginning).rejects.toThrow();
    expect(await kept()).toBe(0);
    await writer.query('COMMIT');
    await writer.end();
  });

  it('without a checkpoint only what is written from now on comes', async () => {
    await databases.target.query(`CREATE SCHEMA life; CREATE TABLE life.one (id int PRIMARY KEY, v text);
      CREATE TABLE life.two (id int PRIMARY KEY, v text); INSERT INTO life.one SELECT i, 'a' FROM generate_series(1, 100) i`);
    const follow = await begin({ load: { checkpoint: false } });
    await databases.source.query(
      `UPDATE life.one SET v = 'b' WHERE id < 5; INSERT INTO life.two VALUES (101, 'b')`,
    );
    await stage.caughtUp(follow);
    await expectEqual('life.one');
    expect(await contentOf(databases.target, 'life.two')).toHaveLength(1);
  });

  it('more log than allowed: the slot is dropped, and that is said', async () => {
    stage = openLinkStage(
      databases,
      linkJob({ tables: ['life.*'], job: { retention: { maxLogBytes: 1_000, onExceed: 'stop' } } }),
    );
    await stage.act((all) => all.beginLink(stage.input));
    await databases.source.query(`UPDATE life.two SET v = repeat('b', 1000)`);
    const watched = await stage.act((all) => all.watchLink(stage.input));
    expect(watched.exceeded).toBe(true);
    expect(await slotsOf(databases.source)).toBe(0);
  });

  it('a promoted target has the sequences of its source, and nothing of ours is left on either side', async () => {
    await databases.source
      .query(`CREATE TABLE life.counted (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text);
      INSERT INTO life.counted (v) SELECT 'a' FROM generate_series(1, 10)`);
    const follow = await begin();
    await databases.source.query(`INSERT INTO life.counted (v) SELECT 'b' FROM generate_series(1, 10)`);
    await stage.caughtUp(follow);
    await follow.stop();
    following = null;
    await stage.act((all) => all.promoteLink(stage.input));
    await databases.target.query(`INSERT INTO life.counted (v) VALUES ('mine')`);
    expect(await contentOf(databases.target, 'life.counted', 'id')).toContain('{21}');
    expect(await slotsOf(databases.source)).toBe(0);
    const left = await databases.target.query(`SELECT 1 FROM pg_namespace WHERE nspname = 'syncline'`);
    expect(left).toEqual([]);
  });

  it('a side that is gone for ever is not asked, and what stays there is said', async () => {
    const follow = await begin();
    await follow.stop();
    following = null;
    const ended = await stage.act((all) => all.removeLink({ ...stage.input, abandon: 'target' }));
    expect(ended.leftBehind).toHaveLength(1);
    expect(await slotsOf(databases.source)).toBe(0);
    expect(await databases.target.query(`SELECT 1 FROM syncline.link`)).toHaveLength(1);
  });
});

const slow = { mode: 'slow', attempts: 30, backoffInitialMs: 50, backoffMaxMs: 200 } as const;

async function valueOf(database: TestDatabase, table: string, id: number): Promise<unknown> {
  const [row] = await database.query<{ v: string }>(`SELECT v FROM ${table} WHERE id = $1`, [id]);
  return row?.v;
}

async function slotsOf(database: TestDatabase): Promise<number> {
  const rows = await database.query('SELECT 1 FROM pg_replication_slots WHERE database = current_database()');
  return rows.length;
}
