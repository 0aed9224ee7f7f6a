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

const job = (sketch: Partial<JobSketch> = {}) =>
  copyJob({ tables: ['lab.parent'], createTables: false, ...sketch });

async function expectEqual(...tables: readonly string[]): Promise<void> {
  for (const table of tables) {
    expect(await contentOf(pair.target, table)).toEqual(await contentOf(pair.source, table));
  }
}

/** The constraint is checked by the server itself: a new one of the same definition is added. */
async function expectValidReference(): Promise<void> {
  await pair.target.query(
    `ALTER TABLE lab.child ADD CONSTRAINT again FOREIGN KEY (code) REFERENCES lab.parent (code)`,
  );
}

const shapes = {
  plain: `CREATE TABLE lab.parent (id int PRIMARY KEY, code text UNIQUE NOT NULL, v int)`,
  partitioned: `CREATE TABLE lab.parent (id int, code text, v int, PRIMARY KEY (code, id), UNIQUE (code)) PARTITION BY LIST (code);
    CREATE TABLE lab.parent_a PARTITION OF lab.parent FOR VALUES IN ('1', '2', '3');
    CREATE TABLE lab.parent_b PARTITION OF lab.parent DEFAULT`,
} as const;

const child = `CREATE TABLE lab.child (n int PRIMARY KEY, code text REFERENCES lab.parent (code) ON DELETE CASCADE)`;

describe.each(Object.entries(shapes))('a %s table that foreign keys point at', (_, parent) => {
  beforeEach(async () => {
    await both(`${parent}; ${child}; INSERT INTO lab.parent SELECT i, i::text, i FROM generate_series(1, 9) i;
      INSERT INTO lab.child VALUES (1, '1'), (2, '5'), (3, NULL)`);
  });

  it('gets rows added, changed and removed by replace, and the key stays valid', async () => {
    await pair.source.query(`DELETE FROM lab.parent WHERE id IN (2, 9);
      UPDATE lab.parent SET v = -v WHERE id IN (1, 5, 6); INSERT INTO lab.parent VALUES (10, '10', 10)`);
    await stage.run(job());
    await expectEqual('lab.parent', 'lab.child');
    await expectValidReference();
    await stage.run(job());
    await expectEqual('lab.parent');
  });

  it('keeps a row that is referenced by a table outside the job: a clear error, nothing is changed', async () => {
    await pair.source.query(`DELETE FROM lab.child; DELETE FROM lab.parent WHERE code IN ('1', '5')`);
    const before = [await contentOf(pair.target, 'lab.parent'), await contentOf(pair.target, 'lab.child')];
    await expect(stage.run(job())).rejects.toMatchObject({
      code: 'target.constraint',
      message: expect.stringMatching(/child_code_fkey.*lab\.child/) as string,
    });
    const after = [await contentOf(pair.target, 'lab.parent'), await contentOf(pair.target, 'lab.child')];
    expect(after).toEqual(before);
    await expectValidReference();
  });

  it('does not lose a referenced value that is no key, by an update', async () => {
    await pair.source.query(`DELETE FROM lab.child; UPDATE lab.parent SET code = 'new' WHERE id = 5`);
    await expect(stage.run(job())).rejects.toMatchObject({ code: 'target.constraint' });
    await expectValidReference();
  });

  it('is copied together with the table that refers to it, whichever comes first', async () => {
    await pair.source.query(`DELETE FROM lab.child; DELETE FROM lab.parent WHERE code IN ('1', '5');
      INSERT INTO lab.parent VALUES (11, '11', 11); INSERT INTO lab.child VALUES (1, '11'), (4, '3')`);
    await stage.run(job({ tables: ['lab.child', 'lab.parent'] }));
    await expectEqual('lab.parent', 'lab.child');
    await expectValidReference();
  });
});

describe('rows that refer to rows which are not on the target', () => {
  it.each(['replace', 'append', 'upsert'] as const)(
    'are a clear error at the end of the job: %s',
    async (mode) => {
      await both(`${shapes.plain}; ${child}`);
      await pair.source.query(
        `INSERT INTO lab.parent VALUES (1, '1', 1); INSERT INTO lab.child VALUES (1, '1')`,
      );
      await expect(stage.run(job({ tables: ['lab.child'], mode }))).rejects.toMatchObject({
        code: 'target.constraint',
        message: expect.stringMatching(/child_code_fkey.*lab\.child/) as string,
      });
      await stage.run(job({ tables: ['lab.parent'] }));
      await stage.run(job({ tables: ['lab.child'], mode: mode === 'append' ? 'upsert' : mode }));
      await expectValidReference();
    },
  );
});

describe('a published table', () => {
  it('is replaced by writes that its subscribers see, and only those that are needed', async () => {
    await both(`${shapes.plain}; INSERT INTO lab.parent SELECT i, i::text, i FROM generate_series(1, 9) i`);
    await pair.target.query('CREATE PUBLICATION p FOR TABLE lab.parent');
    await pair.source.query(`DELETE FROM lab.parent WHERE id = 2; UPDATE lab.parent SET v = -v WHERE id = 3;
      INSERT INTO lab.parent VALUES (10, '10', 10)`);
    const before = await pair.target.query<{ ctid: string; id: number }>('SELECT ctid, id FROM lab.parent');
    await stage.run(job());
    await expectEqual('lab.parent');
    const after = await pair.target.query<{ ctid: string; id: number }>('SELECT ctid, id FROM lab.parent');
    const stayed = after.filter((row) => before.some((old) => old.ctid === row.ctid && old.id === row.id));
    expect(stayed.map((row) => row.id).sort()).toEqual([1, 4, 5, 6, 7, 8, 9]);
  });
});
