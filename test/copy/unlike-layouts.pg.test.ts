import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createDatabasePair, type DatabasePair } from '../support/postgres.ts';
import { copyJob, openStage, type JobSketch, type LoadStage } from '../support/load-job.ts';
import { contentOf } from '../support/table-content.ts';

/** Ten days of trades around the end of January 2026, 120 a day. */
const columns = 'at timestamptz NOT NULL, sym text COLLATE "C" NOT NULL, id bigint NOT NULL, price numeric';
const rows = `INSERT INTO lab.t SELECT '2026-01-27Z'::timestamptz + i * interval '12 min', 's' || i % 5, i, i / 3.0
  FROM generate_series(0, 1199) AS i`;

function days(): string {
  return Array.from({ length: 10 }, (_, day) => {
    const from = new Date(Date.UTC(2026, 0, 27 + day)).toISOString();
    const to = new Date(Date.UTC(2026, 0, 28 + day)).toISOString();
    return `CREATE TABLE lab.t_d${String(day)} PARTITION OF lab.t FOR VALUES FROM ('${from}') TO ('${to}');`;
  }).join('\n');
}

const months = `CREATE TABLE lab.t_m1 PARTITION OF lab.t FOR VALUES FROM ('2026-01-01Z') TO ('2026-02-01Z');
  CREATE TABLE lab.t_m2 PARTITION OF lab.t FOR VALUES FROM ('2026-02-01Z') TO ('2026-03-01Z');`;

const layouts = {
  days: `CREATE TABLE lab.t (${columns}, PRIMARY KEY (at, id)) PARTITION BY RANGE (at); ${days()}`,
  months: `CREATE TABLE lab.t (${columns}, PRIMARY KEY (at, id)) PARTITION BY RANGE (at); ${months}`,
  plain: `CREATE TABLE lab.t (${columns}, PRIMARY KEY (at, id))`,
  hash: `CREATE TABLE lab.t (${columns}, PRIMARY KEY (at, id)) PARTITION BY HASH (id);
    CREATE TABLE lab.t_h0 PARTITION OF lab.t FOR VALUES WITH (MODULUS 3, REMAINDER 0);
    CREATE TABLE lab.t_h1 PARTITION OF lab.t FOR VALUES WITH (MODULUS 3, REMAINDER 1);
    CREATE TABLE lab.t_h2 PARTITION OF lab.t FOR VALUES WITH (MODULUS 3, REMAINDER 2);`,
  list: `CREATE TABLE lab.t (${columns}, PRIMARY KEY (at, id, sym)) PARTITION BY LIST (sym);
    CREATE TABLE lab.t_l0 PARTITION OF lab.t FOR VALUES IN ('s0', 's1');
    CREATE TABLE lab.t_l1 PARTITION OF lab.t FOR VALUES IN ('s2');
    CREATE TABLE lab.t_rest PARTITION OF lab.t DEFAULT;`,
} as const;

type Layout = keyof typeof layouts;

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
  await Promise.all(
    [pair.source, pair.target].map((side) =>
      side.query(
        'DROP SCHEMA IF EXISTS lab CASCADE; CREATE SCHEMA lab; DROP SCHEMA IF EXISTS syncline CASCADE',
      ),
    ),
  );
});

async function layOut(from: Layout, to: Layout): Promise<void> {
  await pair.source.query(`${layouts[from]}; ${rows}; ANALYZE lab.t`);
  await pair.target.query(layouts[to]);
}

const job = (sketch: Partial<JobSketch> = {}) =>
  copyJob({ tables: ['lab.t'], createTables: false, name: 'unlike', ...sketch });

async function expectEqual(): Promise<void> {
  expect(await contentOf(pair.target, 'lab.t')).toEqual(await contentOf(pair.source, 'lab.t'));
}

const pairs: readonly (readonly [Layout, Layout])[] = [
  ['days', 'months'],
  ['days', 'plain'],
  ['days', 'hash'],
  ['days', 'list'],
  ['list', 'months'],
  ['list', 'plain'],
  ['plain', 'days'],
  ['plain', 'list'],
  ['months', 'days'],
];

describe('a table that is laid out otherwise on the target', () => {
  it.each(pairs)('%s into %s: replace takes old rows away, twice brings the same', async (from, to) => {
    await layOut(from, to);
    await pair.target.query(
      `INSERT INTO lab.t VALUES ('2026-01-29Z', 's1', -1, 7), ('2026-02-02Z', 's2', -2, 7)`,
    );
    for (let run = 0; run < 2; run += 1) {
      await stage.run(job());
      await expectEqual();
    }
    await pair.source.query(
      `DELETE FROM lab.t WHERE id % 3 = 0; UPDATE lab.t SET price = -price WHERE id % 3 = 1`,
    );
    await stage.run(job());
    await expectEqual();
  });

  it.each(pairs)('%s into %s: in slices', async (from, to) => {
    await layOut(from, to);
    await pair.target.query(
      `INSERT INTO lab.t VALUES ('2026-01-29Z', 's1', -1, 7), ('2026-02-02Z', 's2', -2, 7)`,
    );
    const { prepared } = await stage.run(job({ tables: [{ pattern: 'lab.t', chunkBytes: 8_000 }] }));
    expect(prepared.plan.units).toBeGreaterThan(prepared.plan.chunks);
    await expectEqual();
  });

  it.each(pairs.filter((_, index) => index % 2 === 1))(
    '%s into %s: append adds, upsert adds and changes',
    async (from, to) => {
      await layOut(from, to);
      await stage.run(job({ mode: 'append' }));
      await expectEqual();
      await pair.source.query(`UPDATE lab.t SET price = -price WHERE id % 3 = 1`);
      await stage.run(job({ mode: 'upsert' }));
      await expectEqual();
    },
  );

  it.each(['replace', 'append', 'upsert'] as const)(
    'and has no partition for some rows: %s fails with the place named and changes nothing',
    async (mode) => {
      await layOut('plain', 'months');
      await pair.target.query(`DROP TABLE lab.t_m2; INSERT INTO lab.t VALUES ('2026-01-29Z', 's1', -1, 7)`);
      const before = await contentOf(pair.target, 'lab.t');
      await expect(stage.run(job({ mode }))).rejects.toMatchObject({
        code: 'target.partitionMissing',
        message: expect.stringContaining('lab.t') as string,
      });
      expect(await contentOf(pair.target, 'lab.t')).toEqual(before);
    },
  );

  it('would get partitions that overlap its own with createTables: refused with the cure, nothing is made', async () => {
    await layOut('days', 'months');
    await expect(stage.run(job({ createTables: true }))).rejects.toMatchObject({
      message: expect.stringMatching(/lab\.t_d0.*overlap|overlap.*lab\.t_d0/) as string,
    });
    const left = await pair.target.query(`SELECT relname FROM pg_class WHERE relname LIKE 't\_d%'`);
    expect(left).toEqual([]);
  });

  it('keeps rows that are in no chunk of the source, and the plan says so', async () => {
    await layOut('days', 'plain');
    await pair.target.query(`INSERT INTO lab.t VALUES ('2020-01-29Z', 's1', -1, 7)`);
    const { prepared } = await stage.run(job());
    expect(prepared.warnings.join()).toMatch(/Rows of lab\.t .* kept/i);
    expect(await pair.target.query(`SELECT id FROM lab.t WHERE at < '2021-01-01'`)).toEqual([{ id: '-1' }]);
  });
});
