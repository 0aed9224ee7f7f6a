import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDatabasePair, type DatabasePair } from '../support/postgres.ts';
import { copyJob, type LoadStage, openStage } from '../support/load-job.ts';

describe('a table that is selected twice', () => {
  let pair: DatabasePair;
  let stage: LoadStage;

  beforeAll(async () => {
    pair = await createDatabasePair();
    stage = openStage(pair);
    await pair.source.query('CREATE TABLE t AS SELECT i AS id FROM generate_series(1, 10) i');
  });
  afterAll(async () => {
    await stage.close();
    await pair.drop();
  });

  it('arrives in both of its targets', async () => {
    const tables = [{ pattern: 'public.t' }, { pattern: 'public.t', targetTable: 'other', where: 'id > 4' }];
    await stage.run(copyJob({ tables }));
    const [found] = await pair.target.query(
      'SELECT (SELECT count(*)::int FROM t) AS whole, (SELECT count(*)::int FROM other) AS part',
    );
    expect(found).toEqual({ whole: 10, part: 6 });
  });
});
