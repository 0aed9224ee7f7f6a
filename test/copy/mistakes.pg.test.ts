import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ResolvedCopyJob } from '../../definitions/contracts/job.ts';
import { createDatabasePair, type DatabasePair } from '../support/postgres.ts';
import { copyJob, openStage, type JobSketch, type LoadStage } from '../support/load-job.ts';
import { contentOf } from '../support/table-content.ts';

let pair: DatabasePair;
let stage: LoadStage;
let onto: LoadStage;

beforeAll(async () => {
  pair = await createDatabasePair();
  stage = openStage(pair);
  onto = openStage({ source: pair.source, target: pair.source });
});

afterAll(async () => {
  await stage.close();
  await onto.close();
  await pair.drop();
});

beforeEach(async () => {
  for (const side of [pair.source, pair.target]) {
    await side.query(`DROP SCHEMA IF EXISTS lab CASCADE; CREATE SCHEMA lab;
      CREATE TABLE lab.a (id int PRIMARY KEY, v text); INSERT INTO lab.a SELECT i, 'a' FROM generate_series(1, 9) i;
      CREATE TABLE lab.b (id int PRIMARY KEY, v text); INSERT INTO lab.b SELECT i, 'b' FROM generate_series(10, 19) i;
      CREATE TABLE lab.keyless (v text); CREATE VIEW lab.view AS SELECT 1 AS id; CREATE MATERIALIZED VIEW lab.mat AS SELECT 1 AS id;
      CREATE TABLE lab.p (id int) PARTITION BY RANGE (id);`);
  }
});

/** What `plan` says and `run` ends with; nothing is changed. */
async function refusal(on: LoadStage, job: ResolvedCopyJob): Promise<string> {
  const before = await contentOf(pair.target, 'lab.a');
  const plan = await on.act((all) => all.planCopy({ job, run: 'r', scheduledTime: '2026-01-01T00:00:00Z' }));
  const errors = plan.findings.filter((finding) => finding.severity === 'error');
  await expect(on.run(job)).rejects.toMatchObject({ type: 'preflight.refused' });
  expect(await contentOf(pair.target, 'lab.a')).toEqual(before);
  return errors.map(({ message, cure }) => `${message} | ${cure ?? ''}`).join('\n');
}

const job = (tables: JobSketch['tables'], more: Partial<JobSketch> = {}): ResolvedCopyJob =>
  copyJob({ tables, createTables: false, ...more });

describe('a mistake is named with its cure by plan and run, and changes nothing', () => {
  it.each<[string, ResolvedCopyJob, RegExp]>([
    ['a table that is not there', job(['lab.gone']), /lab\.gone.*\|.*source\.tables/],
    ['a view', job(['lab.view']), /lab\.view is a view.*\|/],
    ['a materialised view', job(['lab.mat']), /lab\.mat is a materialized view.*\|/],
    [
      'a table that the target lacks',
      job([{ pattern: 'lab.a', targetTable: 'new' }]),
      /lab\.new.*\|.*createTables/,
    ],
    ['a view as the target', job([{ pattern: 'lab.a', targetTable: 'view' }]), /lab\.view on the target.*\|/],
    [
      'a column that is not there',
      job([{ pattern: 'lab.a', columns: ['ID'] }]),
      /lab\.a has no column ID.*\|.*case/,
    ],
    [
      'upsert without a key',
      job(['lab.keyless'], { mode: 'upsert' }),
      /lab\.keyless has no primary key.*\|.*mode/,
    ],
    [
      'a filter with a mistake',
      job([{ pattern: 'lab.a', where: 'nothing = 1' }]),
      /filter of lab\.a.*\|.*psql/,
    ],
    [
      'a filter of two statements',
      job([{ pattern: 'lab.a', where: 'true); DROP TABLE lab.b; SELECT (true' }]),
      /filter of lab\.a/,
    ],
    [
      'two tables into one',
      job([
        { pattern: 'lab.a', targetTable: 'a' },
        { pattern: 'lab.b', targetTable: 'a' },
      ]),
      /lab\.a.*lab\.b.*\|/,
    ],
    [
      'a target without partitions',
      job([{ pattern: 'lab.a', columns: ['id'], targetTable: 'p' }]),
      /lab\.p.*\|.*artition/,
    ],
  ])('%s', async (_, made, expected) => {
    expect(await refusal(stage, made)).toMatch(expected);
  });

  it.each(['replace', 'append', 'upsert'] as const)('a table copied onto itself: %s', async (mode) => {
    expect(await refusal(onto, job(['lab.a'], { mode }))).toMatch(/lab\.a.*itself.*\|/);
  });
});

describe('tables that go into one', () => {
  const both = [
    { pattern: 'lab.a', targetTable: 'a' },
    { pattern: 'lab.b', targetTable: 'a' },
  ];

  it.each(['append', 'upsert'] as const)('are added by %s', async (mode) => {
    await pair.target.query('TRUNCATE lab.a');
    await stage.run(job(both, { mode }));
    expect(await pair.target.query('SELECT v, count(*) FROM lab.a GROUP BY v ORDER BY v')).toEqual([
      { v: 'a', count: '9' },
      { v: 'b', count: '10' },
    ]);
  });
});
