import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  createDatabase,
  createDatabasePair,
  type DatabasePair,
  type TestDatabase,
} from '../support/postgres.ts';
import { copyJob, openStage, type LoadStage } from '../support/load-job.ts';
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
  for (const side of [pair.source, pair.target]) await side.query('DROP SCHEMA IF EXISTS lab CASCADE');
  await pair.source.query('CREATE SCHEMA lab');
});

async function expectEqual(table: string, to = table): Promise<void> {
  expect(await contentOf(pair.target, to)).toEqual(await contentOf(pair.source, table));
}

/** Twice: the second run finds what the first one made. */
async function expectCopiedTwice(...tables: readonly string[]): Promise<void> {
  for (let run = 0; run < 2; run += 1) {
    await stage.run(copyJob({ tables }));
    for (const table of tables) await expectEqual(table);
  }
}

describe('createTables brings', () => {
  it('tables without rows, without columns, with dropped columns and with 1,600', async () => {
    const wide = Array.from(
      { length: 1_600 },
      (_, i) => `c${String(i)} ${i % 3 === 0 ? 'bigint' : 'bool'}`,
    ).join(', ');
    await pair.source.query(`CREATE TABLE lab.empty (id int PRIMARY KEY);
      CREATE TABLE lab.none (); INSERT INTO lab.none SELECT FROM generate_series(1, 7);
      CREATE TABLE lab.dropped (a int, b text, c int, PRIMARY KEY (c)); INSERT INTO lab.dropped VALUES (1, 'x', 2);
      ALTER TABLE lab.dropped DROP COLUMN a; ALTER TABLE lab.dropped ADD COLUMN d int DEFAULT 5;
      CREATE TABLE lab.wide (${wide}); INSERT INTO lab.wide (c0, c1, c1599) VALUES (1, true, 5), (-1, NULL, NULL)`);
    await expectCopiedTwice('lab.empty', 'lab.none', 'lab.dropped', 'lab.wide');
  });

  it('names of 63 bytes, quoted, of any script, and partitions whose names collide when cut', async () => {
    const long = 'ä'.repeat(31) + 'x';
    const other = 'y'.repeat(62);
    await pair.source.query(`CREATE SCHEMA "Größe ""x"".y";
      CREATE TABLE "Größe ""x"".y"."${long}" ("sélect" int PRIMARY KEY, "a""b" text) PARTITION BY LIST ("sélect");
      CREATE TABLE "Größe ""x"".y"."${'ä'.repeat(31)}1" PARTITION OF "Größe ""x"".y"."${long}" FOR VALUES IN (1);
      CREATE TABLE "Größe ""x"".y"."${'ä'.repeat(31)}2" PARTITION OF "Größe ""x"".y"."${long}" DEFAULT;
      INSERT INTO "Größe ""x"".y"."${long}" VALUES (1, 'one'), (2, '💥')`);
    const table = `"Größe ""x"".y"."${long}"`;
    await stage.run(copyJob({ tables: [table] }));
    await expectEqual(table);
    await stage.run(copyJob({ tables: [{ pattern: table, targetTable: other, targetSchema: 'lab' }] }));
    await expectEqual(table, `lab.${other}`);
    const leaves = await pair.target.query(
      `SELECT FROM pg_inherits WHERE inhparent = 'lab.${other}'::regclass`,
    );
    expect(leaves).toHaveLength(2);
    await pair.source.query('DROP SCHEMA "Größe ""x"".y" CASCADE');
    await pair.target.query('DROP SCHEMA "Größe ""x"".y" CASCADE');
  });

  it('partitions of three levels with defaults, in a schema that is missing', async () => {
    await pair.source.query(`CREATE TABLE lab.t (a int, b text, c date, v float8) PARTITION BY RANGE (a);
      CREATE TABLE lab.t1 PARTITION OF lab.t FOR VALUES FROM (0) TO (10) PARTITION BY LIST (b);
      CREATE TABLE lab.t1x PARTITION OF lab.t1 FOR VALUES IN ('x', NULL) PARTITION BY HASH (c);
      CREATE TABLE lab.t1x0 PARTITION OF lab.t1x FOR VALUES WITH (MODULUS 2, REMAINDER 0);
      CREATE TABLE lab.t1x1 PARTITION OF lab.t1x FOR VALUES WITH (MODULUS 2, REMAINDER 1);
      CREATE TABLE lab.t1d PARTITION OF lab.t1 DEFAULT;
      CREATE TABLE lab.td PARTITION OF lab.t DEFAULT PARTITION BY RANGE (b);
      CREATE TABLE lab.tdd PARTITION OF lab.td DEFAULT;
      INSERT INTO lab.t SELECT nullif(i % 20, 13), CASE i % 3 WHEN 0 THEN 'x' WHEN 1 THEN 'y' END, '2026-01-01'::date + i % 9, i FROM generate_series(1, 400) i`);
    await expectCopiedTwice('lab.t');
    for (const leaf of ['t1x0', 't1x1', 't1d', 'tdd']) await expectEqual(`lab.${leaf}`);
  });

  it('arrays of domains, composites, ranges and multiranges', async () => {
    await pair.source.query(`CREATE DOMAIN lab.pos AS int CHECK (VALUE > 0);
      CREATE TYPE lab.mood AS ENUM ('sad', 'so "so"', 'glad');
      CREATE TYPE lab.pair AS (n lab.pos, m lab.mood, t text[]);
      CREATE TYPE lab.span AS RANGE (subtype = lab.pos, multirange_type_name = lab.spans);
      CREATE TABLE lab.t (id int PRIMARY KEY, d lab.pos[], p lab.pair[], r lab.span[], m lab.spans[], e lab.mood[][], nr numrange[], tm tstzmultirange);
      INSERT INTO lab.t VALUES (1, '{1,2}', ARRAY[ROW(1, 'sad', '{a,NULL,""}')::lab.pair, NULL], ARRAY['[1,5)'::lab.span, 'empty'], ARRAY['{[1,2),[4,9)}'::lab.spans], '{{sad},{glad}}', '{"[1.50,2)"}', '{["2026-01-01Z","2026-01-02Z")}');
      INSERT INTO lab.t VALUES (2)`);
    await expectCopiedTwice('lab.t');
  });

  it('unlogged tables, and tables with rules and triggers, which do not act on copied rows', async () => {
    await pair.source
      .query(`CREATE UNLOGGED TABLE lab.u (id int PRIMARY KEY, v text); INSERT INTO lab.u VALUES (1, 'x');
      CREATE TABLE lab.t (id int PRIMARY KEY, v text); INSERT INTO lab.t VALUES (1, 'x'), (2, 'y')`);
    await expectCopiedTwice('lab.u', 'lab.t');
    await pair.target.query(`CREATE TABLE lab.log (n int);
      CREATE FUNCTION lab.f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v := 'changed'; RETURN NEW; END $$;
      CREATE TRIGGER f BEFORE INSERT OR UPDATE ON lab.t FOR EACH ROW EXECUTE FUNCTION lab.f();
      CREATE RULE r AS ON INSERT TO lab.u DO ALSO INSERT INTO lab.log VALUES (1);
      CREATE RULE d AS ON DELETE TO lab.u DO INSTEAD NOTHING`);
    await pair.source.query(`INSERT INTO lab.u VALUES (2, 'z'); DELETE FROM lab.t WHERE id = 1`);
    await expectCopiedTwice('lab.u', 'lab.t');
    for (const mode of ['upsert', 'append'] as const) {
      await pair.target.query('TRUNCATE lab.t; DELETE FROM lab.t');
      await stage.run(copyJob({ tables: ['lab.t'], mode }));
      await expectEqual('lab.t');
    }
    expect(await pair.target.query('SELECT FROM lab.log')).toEqual([]);
  });

  it('generated columns and identities, with the positions of their sequences', async () => {
    await pair.source
      .query(`CREATE TABLE lab.t (id int GENERATED ALWAYS AS IDENTITY (START 10 INCREMENT 5) PRIMARY KEY,
        n bigint GENERATED BY DEFAULT AS IDENTITY, s smallserial, a int, st int GENERATED ALWAYS AS (a * 2) STORED,
        vi int GENERATED ALWAYS AS (a * 3) VIRTUAL);
      INSERT INTO lab.t (a) SELECT generate_series(1, 50)`);
    await expectCopiedTwice('lab.t');
    for (const side of [pair.source, pair.target]) await side.query('INSERT INTO lab.t (a) VALUES (99)');
    await expectEqual('lab.t');
  });
});

describe('to PostgreSQL 15', () => {
  let older: TestDatabase;
  let down: LoadStage;

  beforeAll(async () => {
    older = await createDatabase(15);
    down = openStage({ source: pair.source, target: older });
  });

  afterAll(async () => {
    await down.close();
    await older.drop();
  });

  const virtual = `CREATE TABLE lab.t (id int PRIMARY KEY, a int, vi int GENERATED ALWAYS AS (a * 3) VIRTUAL);
      INSERT INTO lab.t (id, a) VALUES (1, 2)`;

  it('virtual generated columns become stored ones, which the plan says', async () => {
    await pair.source.query(virtual);
    const job = copyJob({ tables: ['lab.t'] });
    const plan = await down.act((all) =>
      all.planCopy({ job, run: 'r', scheduledTime: '2026-01-01T00:00:00Z' }),
    );
    expect([...plan.notCarried, ...plan.findings.map((finding) => finding.message)].join('\n')).toMatch(/vi/);
    await down.run(job);
    expect(await contentOf(older, 'lab.t')).toEqual(await contentOf(pair.source, 'lab.t'));
  });

  it('copies into a table that computes the column itself', async () => {
    await pair.source.query(virtual);
    await older.query(`DROP SCHEMA IF EXISTS lab CASCADE; CREATE SCHEMA lab;
      CREATE TABLE lab.t (id int PRIMARY KEY, a int, vi int GENERATED ALWAYS AS (a * 3) STORED)`);
    await down.run(copyJob({ tables: ['lab.t'], createTables: false }));
    expect(await contentOf(older, 'lab.t')).toEqual(await contentOf(pair.source, 'lab.t'));
  });
});

describe('refused with the cure', () => {
  async function refusalOf(table: string): Promise<string> {
    const job = copyJob({ tables: [table] });
    const plan = await stage.act((all) =>
      all.planCopy({ job, run: 'r', scheduledTime: '2026-01-01T00:00:00Z' }),
    );
    await expect(stage.run(job)).rejects.toMatchObject({ type: 'preflight.refused' });
    const errors = plan.findings.filter((finding) => finding.severity === 'error');
    return errors.map((finding) => `${finding.message} ${finding.cure ?? ''}`).join('\n');
  }

  it('a child with columns that its parent has not', async () => {
    await pair.source.query('CREATE TABLE lab.t (id int); CREATE TABLE lab.c (extra text) INHERITS (lab.t)');
    expect(await refusalOf('lab.t')).toMatch(/lab\.c .*extra/);
  });

  it('a partition that is a foreign table, and without it the others are copied', async () => {
    const made = await pair.source
      .query(
        `CREATE EXTENSION IF NOT EXISTS file_fdw; CREATE SERVER IF NOT EXISTS files FOREIGN DATA WRAPPER file_fdw`,
      )
      .then(
        () => true,
        () => false,
      );
    if (!made) {
      await pair.source.query(
        `CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER files FOREIGN DATA WRAPPER nothing`,
      );
    }
    await pair.source.query(`CREATE TABLE lab.t (id int) PARTITION BY LIST (id);
      CREATE TABLE lab.t1 PARTITION OF lab.t FOR VALUES IN (1); INSERT INTO lab.t VALUES (1);
      CREATE FOREIGN TABLE lab.t2 PARTITION OF lab.t FOR VALUES IN (2) SERVER files${made ? ` OPTIONS (filename '/dev/null')` : ''}`);
    expect(await refusalOf('lab.t')).toMatch(/lab\.t2 is a foreign table/);
    await stage.run(copyJob({ tables: ['lab.t1'] }));
    await expectEqual('lab.t1');
  });
});
