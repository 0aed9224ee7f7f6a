import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createDatabasePair, type DatabasePair } from '../support/postgres.ts';
import { copyJob, openStage, type LoadStage } from '../support/load-job.ts';

const partitioned = `CREATE TABLE lab.t (id int PRIMARY KEY) PARTITION BY RANGE (id);
  CREATE TABLE lab.t_1 PARTITION OF lab.t FOR VALUES FROM (0) TO (10)`;
const second = 'CREATE TABLE lab.t_2 PARTITION OF lab.t FOR VALUES FROM (10) TO (20)';

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
      side.query('DROP SCHEMA IF EXISTS lab CASCADE; DROP SCHEMA IF EXISTS other CASCADE; CREATE SCHEMA lab'),
    ),
  );
  await pair.source.query(`${partitioned}; ${second}; INSERT INTO lab.t SELECT generate_series(0, 19)`);
});

async function refusalOf(job: ReturnType<typeof copyJob>): Promise<string> {
  const plan = await stage.act((all) =>
    all.planCopy({ job, run: 'r', scheduledTime: '2026-01-01T00:00:00Z' }),
  );
  const errors = plan.findings.filter((finding) => finding.severity === 'error');
  await expect(stage.run(job)).rejects.toMatchObject({ type: 'preflight.refused' });
  return errors.map((finding) => `${finding.message} ${finding.cure ?? ''}`).join('\n');
}

describe('a partition that createTables would make', () => {
  it('is refused where a detached table has its name, which keeps its rows', async () => {
    await pair.target.query(
      `${partitioned}; CREATE TABLE lab.t_2 (id int PRIMARY KEY); INSERT INTO lab.t_2 VALUES (77)`,
    );
    expect(await refusalOf(copyJob({ tables: ['lab.t'] }))).toMatch(/lab\.t_2 of lab\.t .*name.*attach/);
    expect(await pair.target.query('SELECT id FROM lab.t_2')).toEqual([{ id: 77 }]);
  });

  it('is refused where the table is new but a table has the name of a partition', async () => {
    await pair.target.query('CREATE TABLE lab.t_2 (id int PRIMARY KEY); INSERT INTO lab.t_2 VALUES (77)');
    expect(await refusalOf(copyJob({ tables: ['lab.t'] }))).toContain('lab.t_2');
    expect(await pair.target.query('SELECT id FROM lab.t_2')).toEqual([{ id: 77 }]);
  });

  it('is refused where two partitions would get one name', async () => {
    await pair.source.query(`ALTER TABLE lab.t_1 RENAME TO x_1; ALTER TABLE lab.t_2 RENAME TO t_x_1`);
    const job = copyJob({ tables: [{ pattern: 'lab.t', targetTable: 'u' }] });
    expect(await refusalOf(job)).toContain('Two partitions of lab.u would be called lab.u_x_1');
  });

  it('is refused at the latest when something that is no table has its name', async () => {
    await pair.target.query('CREATE VIEW lab.t_2 AS SELECT 1 AS id');
    await expect(stage.run(copyJob({ tables: ['lab.t'] }))).rejects.toMatchObject({
      message: expect.stringContaining('lab.t_2') as string,
    });
  });
});
