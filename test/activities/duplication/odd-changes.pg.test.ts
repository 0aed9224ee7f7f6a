import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Following, linkJob, type LinkStage, openLinkStage } from '../../support/link-job.ts';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { contentOf } from '../../support/table-content.ts';

/** Changes that are not simply rows by their key. Several together are one batch: they are written while nobody follows. */

interface Case {
  readonly name: string;
  readonly table: string;
  readonly rows: string;
  /** Each is a transaction. */
  readonly changes: readonly string[];
}

const cases: readonly Case[] = [
  {
    name: 'unique values that swap rows inside one transaction, and one that moves to a new row',
    table: 'CREATE TABLE odd.t (id int PRIMARY KEY, u int UNIQUE DEFERRABLE INITIALLY DEFERRED)',
    rows: 'INSERT INTO odd.t SELECT i, i * 10 FROM generate_series(1, 20) i',
    changes: [
      'UPDATE odd.t SET u = CASE id WHEN 1 THEN 20 ELSE 10 END WHERE id IN (1, 2)',
      'DELETE FROM odd.t WHERE id = 5; INSERT INTO odd.t VALUES (105, 50)',
      'UPDATE odd.t SET u = u + 1000 WHERE id > 10; UPDATE odd.t SET u = u - 1000 WHERE id > 10',
    ],
  },
  {
    name: 'rows of a table without key, equal ones and NULLs among them',
    table: 'CREATE TABLE odd.t (a int, b text); ALTER TABLE odd.t REPLICA IDENTITY FULL',
    rows: `INSERT INTO odd.t SELECT i % 3, CASE WHEN i % 2 = 0 THEN 'x' END FROM generate_series(1, 30) i`,
    changes: [
      'DELETE FROM odd.t WHERE ctid = (SELECT min(ctid) FROM odd.t WHERE a = 1 AND b IS NULL)',
      `UPDATE odd.t SET b = 'y' WHERE ctid = (SELECT min(ctid) FROM odd.t WHERE a = 2 AND b = 'x')`,
      `INSERT INTO odd.t VALUES (NULL, NULL), (NULL, NULL); DELETE FROM odd.t WHERE a = 0 AND b = 'x'`,
    ],
  },
  {
    name: 'large values that a change does not touch, also when the key changes',
    table:
      'CREATE TABLE odd.t (id int PRIMARY KEY, n int, big text); ALTER TABLE odd.t ALTER big SET STORAGE EXTERNAL',
    rows: `INSERT INTO odd.t SELECT i, 0, repeat(md5(i::text), 400) FROM generate_series(1, 10) i`,
    changes: [
      'UPDATE odd.t SET n = n + 1',
      'UPDATE odd.t SET id = id + 100 WHERE id < 4; UPDATE odd.t SET n = 7 WHERE id = 101',
      'UPDATE odd.t SET id = 201 WHERE id = 101; UPDATE odd.t SET id = 301 WHERE id = 201',
      'DELETE FROM odd.t WHERE id = 301; UPDATE odd.t SET n = 9 WHERE id = 5',
    ],
  },
  {
    name: 'a truncate between other changes',
    table: 'CREATE TABLE odd.t (id int PRIMARY KEY, n int)',
    rows: 'INSERT INTO odd.t SELECT i, 0 FROM generate_series(1, 50) i',
    changes: [
      'UPDATE odd.t SET n = 1',
      'TRUNCATE odd.t; INSERT INTO odd.t SELECT i, 2 FROM generate_series(40, 60) i',
      'UPDATE odd.t SET n = 3 WHERE id = 45',
    ],
  },
  {
    name: 'columns that the server computes, and identities',
    table: `CREATE TABLE odd.t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n int, twice int GENERATED ALWAYS AS (n * 2) STORED)`,
    rows: 'INSERT INTO odd.t (n) SELECT i FROM generate_series(1, 20) i',
    changes: [
      'UPDATE odd.t SET n = n + 1 WHERE id < 10',
      'INSERT INTO odd.t (n) VALUES (77); DELETE FROM odd.t WHERE id = 3',
    ],
  },
  {
    name: 'odd types, in text where they have no binary form',
    table: `CREATE TYPE odd.mood AS ENUM ('sad', 'ok'); CREATE DOMAIN odd.positive AS int CHECK (value > 0);
      CREATE TABLE odd.t (id uuid PRIMARY KEY, m odd.mood, p odd.positive, a int[], r int4range, j jsonb, n numeric, t timestamptz, b bytea, c regclass, x xml)`,
    rows: `INSERT INTO odd.t SELECT md5(i::text)::uuid, 'sad', 1, ARRAY[i, NULL], int4range(1, i + 1), '{"a": 1}', 'NaN', 'infinity', '\\x00ff', 'pg_class', '<a/>' FROM generate_series(1, 10) i`,
    changes: [
      `UPDATE odd.t SET m = 'ok', n = 1.50, t = '-infinity', j = '[1, null]', a = '{}' WHERE a[1] < 5`,
      `INSERT INTO odd.t VALUES (gen_random_uuid(), NULL, NULL, NULL, 'empty', NULL, NULL, '0044-03-15 00:00:00+00 BC', '', NULL, NULL)`,
    ],
  },
  {
    name: 'chains and circles of keys',
    table: 'CREATE TABLE odd.t (a text COLLATE "C", b int, v int, PRIMARY KEY (a, b))',
    rows: `INSERT INTO odd.t SELECT 'k' || i, i, i FROM generate_series(1, 10) i`,
    changes: [
      `UPDATE odd.t SET a = 'free' WHERE b = 1; UPDATE odd.t SET a = 'k1' WHERE b = 2; UPDATE odd.t SET a = 'k2', b = 20 WHERE b = 1`,
      `DELETE FROM odd.t WHERE b = 3; INSERT INTO odd.t VALUES ('k3', 3, 33); UPDATE odd.t SET v = 34 WHERE b = 3`,
      `INSERT INTO odd.t VALUES ('gone', 99, 0); DELETE FROM odd.t WHERE b = 99`,
    ],
  },
];

const setups = [
  { source: 18, target: 15, lanes: 1 },
  { source: 15, target: 18, lanes: 1 },
  { source: 18, target: 18, lanes: 3 },
] as const;

describe.each(setups)('from $source to $target in $lanes lane(s)', ({ lanes, ...version }) => {
  let source: TestDatabase;
  let target: TestDatabase;
  let stage: LinkStage;
  let following: Following | null = null;

  beforeAll(async () => {
    [source, target] = await Promise.all([createDatabase(version.source), createDatabase(version.target)]);
  });
  beforeEach(async () => {
    for (const database of [source, target]) await database.query('DROP SCHEMA IF EXISTS odd CASCADE');
    await source.query('CREATE SCHEMA odd');
  });
  afterEach(async () => {
    await following?.stop().catch(() => undefined);
    following = null;
    await stage.act((all) => all.removeLink({ ...stage.input, abandon: null }));
    await stage.close();
  });
  afterAll(() => Promise.all([source.drop(), target.drop()]));

  it.each(cases)('$name', async ({ table, rows, changes }) => {
    await source.query(table);
    await source.query(rows);
    stage = openLinkStage({ source, target }, linkJob({ tables: ['odd.t'], log: { lanes } }));
    await stage.act((all) => all.beginLink(stage.input));
    following = stage.follow();
    await stage.load();
    await stage.caughtUp(following);
    await following.stop();
    for (const change of changes) await source.query(`BEGIN; ${change}; COMMIT`);
    following = stage.follow();
    const { totals } = await stage.caughtUp(following);
    expect(await contentOf(target, 'odd.t')).toEqual(await contentOf(source, 'odd.t'));
    expect(totals.conflicts).toBe(0);
    expect(totals.applied).toBeGreaterThan(0);
  });
});
