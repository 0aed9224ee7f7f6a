import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createDatabasePair, type DatabasePair } from '../support/postgres.ts';
import { copyJob, openStage, type JobSketch, type LoadStage } from '../support/load-job.ts';
import { contentOf } from '../support/table-content.ts';

let pair: DatabasePair;
let stage: LoadStage;

beforeAll(async () => {
  pair = await createDatabasePair();
  stage = openStage(pair);
});

afterAll(async () => {
  await stage.close();
  await pair.drop();
});

beforeEach(async () => {
  await both('DROP SCHEMA IF EXISTS lab CASCADE; CREATE SCHEMA lab');
});

async function both(sql: string): Promise<void> {
  await Promise.all([pair.source.query(sql), pair.target.query(sql)]);
}

const upsert = (sketch: Partial<JobSketch> = {}) =>
  copyJob({ tables: ['lab.t'], createTables: false, mode: 'upsert', ...sketch });

async function expectEqual(): Promise<void> {
  expect(await contentOf(pair.target, 'lab.t')).toEqual(await contentOf(pair.source, 'lab.t'));
}

/** A foreign key that points at the table makes `replace` write only what differs. */
const referenced = `CREATE TABLE lab.r (k int REFERENCES lab.t (id))`;

describe('values that two rows exchange under a second unique index', () => {
  const table = 'CREATE TABLE lab.t (id int PRIMARY KEY, v int UNIQUE, note text)';

  it.each(['upsert', 'replace'] as const)('arrive by %s', async (mode) => {
    await both(`${table}; INSERT INTO lab.t VALUES (1, 10, 'a'), (2, 20, 'b'), (3, 30, 'c')`);
    await pair.target.query(`${referenced}; INSERT INTO lab.r VALUES (1), (2)`);
    await pair.source.query(
      `DELETE FROM lab.t; INSERT INTO lab.t VALUES (1, 20, 'a'), (2, 30, 'x'), (3, 10, 'c'), (4, 40, 'd')`,
    );
    await stage.run(upsert({ mode }));
    await expectEqual();
  });

  it('leave columns alone that are not copied, or fail with the constraint named', async () => {
    await both(`${table}; INSERT INTO lab.t VALUES (1, 10, 'a'), (2, 20, 'b')`);
    await pair.source.query(`DELETE FROM lab.t; INSERT INTO lab.t VALUES (1, 20, 'A'), (2, 10, 'B')`);
    const job = upsert({ tables: [{ pattern: 'lab.t', columns: ['id', 'v'] }] });
    await expect(stage.run(job)).rejects.toMatchObject({
      code: 'target.constraint',
      message: expect.stringContaining('t_v_key') as string,
    });
    expect(await contentOf(pair.target, 'lab.t')).toEqual(['{1,a,10}', '{2,b,20}']);
  });
});

describe('keys that are equal and look different', () => {
  const collation = `CREATE COLLATION lab.nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`;

  it.each([
    [
      'text of a collation that ignores case',
      `${collation}; CREATE TABLE lab.t (id text COLLATE lab.nocase PRIMARY KEY, v int)`,
      `('abc', 1), ('def', 2)`,
      `('ABC', 1), ('Def', 3), ('g', 4)`,
    ],
    [
      'numerics of another scale',
      'CREATE TABLE lab.t (id numeric PRIMARY KEY, v int)',
      '(1.0, 1), (2, 2)',
      '(1.00, 1), (2.000, 3)',
    ],
    ['zeros of another sign', 'CREATE TABLE lab.t (id float8 PRIMARY KEY, v int)', "('0', 1)", "('-0', 1)"],
  ])('take the look of the source: %s', async (...[, table, before, after]) => {
    for (const mode of ['upsert', 'replace'] as const) {
      await both(`DROP SCHEMA lab CASCADE; CREATE SCHEMA lab; ${table}`);
      await pair.target.query(`INSERT INTO lab.t VALUES ${before}; CREATE PUBLICATION p FOR TABLE lab.t`);
      await pair.source.query(`INSERT INTO lab.t VALUES ${after}`);
      await stage.run(upsert({ mode }));
      await expectEqual();
      await pair.target.query('DROP PUBLICATION p');
    }
  });
});

describe('upsert', () => {
  it('knows rows by a key of several columns, whatever their order and types', async () => {
    await both(`CREATE TABLE lab.t (v text, "B b" uuid, a date, c bytea, PRIMARY KEY (c, "B b", a))`);
    const values = (from: number, to: number, v: string): string =>
      `INSERT INTO lab.t SELECT '${v}', md5(i::text)::uuid, '2026-01-01'::date + i % 3, decode(md5((i / 2)::text), 'hex') FROM generate_series(${from}, ${to}) i`;
    await pair.target.query(`${values(-5, -1, 'kept')}; ${values(0, 500, 'old')}`);
    await pair.source.query(values(100, 900, 'new'));
    await stage.run(upsert({ tables: [{ pattern: 'lab.t', chunkBytes: 10_000 }] }));
    const counts = await pair.target.query(`SELECT v, count(*) FROM lab.t GROUP BY v ORDER BY v`);
    expect(counts).toEqual([
      { v: 'kept', count: '5' },
      { v: 'new', count: '801' },
      { v: 'old', count: '100' },
    ]);
  });

  it.each(['upsert', 'replace'] as const)(
    'of a table that is all key brings the missing rows: %s',
    async (mode) => {
      await both(`CREATE TABLE lab.t (a int, b text, PRIMARY KEY (a, b)); CREATE INDEX ON lab.t (b)`);
      await pair.target.query(
        `INSERT INTO lab.t VALUES (1, 'x'), (2, 'y'); CREATE PUBLICATION p FOR TABLE lab.t`,
      );
      await pair.source.query(`INSERT INTO lab.t VALUES (2, 'y'), (3, 'z')`);
      await stage.run(upsert({ mode }));
      await pair.target.query('DROP PUBLICATION p');
      const rows = await contentOf(pair.target, 'lab.t');
      expect(rows).toEqual(mode === 'upsert' ? ['{1,x}', '{2,y}', '{3,z}'] : ['{2,y}', '{3,z}']);
    },
  );
});
