import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { postgresModule } from '../../../../stores/postgres/module.ts';
import type { Store } from '../../../../stores/spi/store.ts';
import { type PostgresServer, startPostgres } from '../../../../worker/local/postgres.ts';
import { createDatabaseOn, type TestDatabase } from '../../../support/postgres.ts';
import { isUnchanged, read, type Which } from './marked.ts';

interface Case {
  readonly name: string;
  readonly table: string;
  /** One transaction each. */
  readonly then: readonly string[];
  readonly which?: Which;
}

const rows = `INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 50) i`;
const plain = `CREATE TABLE t (id int PRIMARY KEY, v text); ${rows}`;
const typed = (type: string, value: string): string =>
  `CREATE TABLE t (id int PRIMARY KEY, v ${type}); INSERT INTO t SELECT i, ${value} FROM generate_series(1, 50) i`;

/** After these the rows are the same, which must be seen, or backups would never be incremental. */
const unchanged: readonly Case[] = [
  { name: 'nothing', table: plain, then: [] },
  { name: 'VACUUM FREEZE and ANALYZE', table: plain, then: ['VACUUM (FREEZE, ANALYZE) t'] },
  { name: 'writes elsewhere', table: plain, then: ['CREATE TABLE u AS SELECT 1', 'DROP TABLE u'] },
  { name: 'a transaction rolled back', table: plain, then: [`BEGIN; UPDATE t SET v = 'x'; ROLLBACK`] },
  {
    name: 'a subtransaction rolled back',
    table: plain,
    then: [
      `BEGIN; CREATE TABLE u (); DROP TABLE u; SAVEPOINT s; INSERT INTO t VALUES (99); ROLLBACK TO s; COMMIT`,
    ],
  },
  {
    name: 'row locks',
    table: plain,
    then: ['BEGIN; SELECT FROM t FOR UPDATE; COMMIT', 'BEGIN; SELECT FROM t FOR KEY SHARE; COMMIT'],
  },
  { name: 'other columns', table: plain, then: ['ALTER TABLE t ADD other int DEFAULT 5'] },
  {
    name: 'an index, statistics and rights',
    table: plain,
    then: ['CREATE INDEX ON t (v)', 'GRANT SELECT ON t TO PUBLIC'],
  },
  { name: 'no rows at all', table: 'CREATE TABLE t (id int PRIMARY KEY, v text)', then: ['VACUUM t'] },
  {
    name: 'a table without columns',
    table: 'CREATE TABLE t (); INSERT INTO t DEFAULT VALUES',
    then: [],
    which: { columns: [] },
  },
  {
    name: 'rows outside of the window',
    table: typed('timestamptz', `'2026-01-01'::timestamptz + i * interval '1 h'`),
    then: [`INSERT INTO t VALUES (99, '2026-02-01')`, 'DELETE FROM t WHERE id = 50'],
    which: { window: { column: 'v', from: '2026-01-01T00:00:00.000Z', to: '2026-01-02T00:00:00.000Z' } },
  },
  {
    name: 'rows outside of the range',
    table: plain,
    then: [`UPDATE t SET v = 'x' WHERE id >= 30`],
    which: { range: { columns: ['id'], from: ['10'], to: ['30'] } },
  },
];

/** Each may change what is read; the ways that keep the number of rows, and write no row version, above all. */
const changed: readonly Case[] = [
  { name: 'an insert', table: plain, then: ['INSERT INTO t VALUES (99)'] },
  { name: 'a delete', table: plain, then: ['DELETE FROM t WHERE id = 7'] },
  { name: 'an update', table: plain, then: [`UPDATE t SET v = 'x' WHERE id = 7`] },
  {
    name: 'a delete and an insert',
    table: plain,
    then: ['DELETE FROM t WHERE id = 7', 'INSERT INTO t VALUES (99)'],
  },
  {
    name: 'an update in a subtransaction',
    table: plain,
    then: [`BEGIN; SAVEPOINT s; UPDATE t SET v = 'x' WHERE id = 7; RELEASE s; COMMIT`],
  },
  {
    name: 'an update that is frozen since',
    table: plain,
    then: [`UPDATE t SET v = 'x' WHERE id = 7`, 'VACUUM (FREEZE) t'],
  },
  {
    name: 'TRUNCATE and the same number of rows',
    table: plain,
    then: [`BEGIN; TRUNCATE t; ${rows.replace("'v'", "'w'")}; COMMIT`],
  },
  { name: 'a rewrite', table: plain, then: ['VACUUM FULL t'] },
  { name: 'another table under the name', table: plain, then: ['DROP TABLE t', plain.replace("'v'", "'w'")] },
  {
    name: 'an exchange of names',
    table: `CREATE TABLE u AS SELECT i AS id, 'u' || i AS v FROM generate_series(1, 50) i; ${plain}`,
    then: ['BEGIN; ALTER TABLE t RENAME TO x; ALTER TABLE u RENAME TO t; COMMIT'],
  },
  {
    name: 'a column dropped and added again',
    table: plain,
    then: ['ALTER TABLE t DROP v', `ALTER TABLE t ADD v text DEFAULT 'w'`],
  },
  {
    name: 'columns that exchange names',
    table: `CREATE TABLE t (id int, v int); INSERT INTO t SELECT i, -i FROM generate_series(1, 50) i`,
    then: [
      'BEGIN; ALTER TABLE t RENAME id TO x; ALTER TABLE t RENAME v TO id; ALTER TABLE t RENAME x TO v; COMMIT',
    ],
  },
  {
    name: 'a type that is converted without a rewrite',
    table: typed('timestamp', `'2026-01-01'::timestamp + i * interval '1 h'`),
    then: [`SET TimeZone = 'UTC'; ALTER TABLE t ALTER v TYPE timestamptz; RESET TimeZone`],
  },
  {
    name: 'a length',
    table: typed('varchar(10)', `'v' || i`),
    then: ['ALTER TABLE t ALTER v TYPE varchar(20)'],
  },
  {
    name: 'a label',
    table: typed('mood', `'sad'::mood`),
    then: [`ALTER TYPE mood RENAME VALUE 'sad' TO 'low'`],
  },
  {
    name: 'a label there and back, which an earlier load may have read in between',
    table: typed('mood', `'sad'::mood`),
    then: [`ALTER TYPE mood RENAME VALUE 'sad' TO 'low'`, `ALTER TYPE mood RENAME VALUE 'low' TO 'sad'`],
  },
  {
    name: 'labels that are exchanged, in an array of a domain in a composite',
    table: typed('nested', `ROW(ARRAY['sad']::moods, i)::nested`),
    then: [
      `BEGIN; ALTER TYPE mood RENAME VALUE 'sad' TO 'x'; ALTER TYPE mood RENAME VALUE 'ok' TO 'sad'; ALTER TYPE mood RENAME VALUE 'x' TO 'ok'; COMMIT`,
    ],
  },
  {
    name: 'an attribute more',
    table: typed('pair', 'ROW(i, i)::pair'),
    then: ['ALTER TYPE pair ADD ATTRIBUTE c int'],
  },
  {
    name: 'an attribute less',
    table: typed('pair', 'ROW(i, i)::pair'),
    then: ['ALTER TYPE pair DROP ATTRIBUTE a'],
  },
  {
    name: 'a column more in the row type of another table',
    table: `CREATE TABLE r (a int); ${typed('r', 'ROW(i)::r')}`,
    then: ['ALTER TABLE r ADD b int'],
  },
  {
    name: 'the name behind a regclass',
    table: `CREATE TABLE named (); ${typed('regclass', `'named'::regclass`)}`,
    then: ['ALTER TABLE named RENAME TO renamed'],
    which: { format: 'text' },
  },
  { name: 'a filter that may mean anything', table: plain, then: [], which: { where: 'now() > now()' } },
  { name: 'storage that moved', table: plain, then: ['ALTER TABLE t SET UNLOGGED'] },
  {
    name: 'partitions that exchange places',
    table: `CREATE TABLE p (id int, v text) PARTITION BY LIST (v); CREATE TABLE t PARTITION OF p DEFAULT; ${rows};
      CREATE TABLE o (id int, v text); INSERT INTO o SELECT i, 'o' || i FROM generate_series(1, 50) i`,
    then: [
      'BEGIN; ALTER TABLE p DETACH PARTITION t; ALTER TABLE t RENAME TO x; ALTER TABLE o RENAME TO t; ALTER TABLE p ATTACH PARTITION t DEFAULT; COMMIT',
    ],
  },
  {
    name: 'TRUNCATE and COPY FREEZE',
    table: plain,
    then: [`BEGIN; TRUNCATE t; COPY t FROM PROGRAM 'seq -f "%g,frozen" 1 50' (FORMAT csv, FREEZE); COMMIT`],
  },
];

describe.each([18, 15] as const)('the mark of what was read, on PostgreSQL %i', (version) => {
  // Of its own: a transaction that is open anywhere on a server makes every mark of that time doubtful.
  let server: PostgresServer;
  let database: TestDatabase;
  let store: Store;

  beforeAll(async () => {
    server = await startPostgres({ version });
    database = await createDatabaseOn(server.url);
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
    await server.stop();
  });

  const make = async (table: string): Promise<void> => {
    await database.query(`DROP SCHEMA public CASCADE; CREATE SCHEMA public; SET search_path = public;
      CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN moods AS mood[]; CREATE TYPE nested AS (m moods, n int);
      CREATE TYPE pair AS (a int, b int); ${table}`);
  };
  const happens = async (statements: readonly string[]): Promise<void> => {
    for (const statement of statements) await database.query(statement);
  };

  it.each(unchanged)('is still right after $name', async ({ table, then, which }) => {
    await make(table);
    const { earlier } = await read(store, 't', which);
    await happens(then);
    expect(await isUnchanged(store, 't', { ...which, earlier })).toBe(true);
  });

  it.each(changed)('is not taken for right after $name', async ({ table, then, which }) => {
    await make(table);
    const { earlier } = await read(store, 't', which);
    await happens(then);
    expect(await isUnchanged(store, 't', { ...which, earlier })).toBe(false);
  });

  it('means the filter that it was made under, and no other', async () => {
    await make(typed('timestamptz', `'2026-01-01'::timestamptz + i * interval '1 h'`));
    const day = (from: string, to: string): Which => ({ window: { column: 'v', from, to } });
    const asked: readonly Which[] = [
      {},
      day('2026-01-01', '2026-01-02'),
      day('2026-01-02', '2026-01-03'),
      { range: { columns: ['id'], from: null, to: ['25'] } },
      { range: { columns: ['id'], from: ['26'], to: null } },
      { columns: ['id'] },
      { columns: ['v', 'id'] },
      { format: 'csv' },
    ];
    const reads = await Promise.all(asked.map((which) => read(store, 't', which)));
    for (const [made, { earlier }] of reads.entries())
      for (const [used, which] of asked.entries())
        expect(await isUnchanged(store, 't', { ...which, earlier }), `${String(made)}, ${String(used)}`).toBe(
          made === used,
        );
  });

  it('waits for a transaction that ran when it was made', async () => {
    await make(plain);
    const writer = await database.connect();
    await writer.query(`BEGIN; UPDATE public.t SET v = 'x' WHERE id = 7`);
    const during = await read(store, 't');
    expect(await isUnchanged(store, 't', during)).toBe(true);
    await writer.query('COMMIT');
    expect(await isUnchanged(store, 't', during)).toBe(false);
    const after = await read(store, 't');
    expect(after.digest).not.toBe(during.digest);
    expect(await isUnchanged(store, 't', after)).toBe(true);
  });

  it('of a later moment proves nothing for an earlier one', async () => {
    await make(plain);
    const old = await database.connect();
    await old.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    const [exported] = (await old.query<{ id: string }>('SELECT pg_export_snapshot() AS id')).rows;
    await database.query(`UPDATE t SET v = 'x' WHERE id = 7`);
    const later = await read(store, 't');
    const which = { snapshot: exported?.id ?? '' };
    expect((await read(store, 't', which)).digest).not.toBe(later.digest);
    expect(await isUnchanged(store, 't', { ...which, ...later })).toBe(false);
    await old.query('COMMIT');
  });

  it('holds no value, is small, and of another server or timeline is not believed', async () => {
    await make(typed('text', `'topsecret'`));
    const { earlier } = await read(store, 't');
    if (earlier === null) throw new Error('There is a mark.');
    expect(JSON.stringify(earlier)).not.toContain('topsecret');
    expect(JSON.stringify(earlier).length).toBeLessThan(1_000);
    const { content } = earlier;
    for (const other of [
      { systemId: '1' },
      { timeline: content.timeline + 1 },
      { snapshot: '' },
      { snapshot: '1:1:' },
      { relation: `${content.relation} ` },
      { columns: 'x' },
    ]) {
      const forged = { content: { ...content, ...other }, rows: 50 };
      expect(await isUnchanged(store, 't', { earlier: forged }), JSON.stringify(other)).toBe(false);
    }
    expect(await isUnchanged(store, 't', { earlier: { content, rows: 49 } })).toBe(false);
  });
});
