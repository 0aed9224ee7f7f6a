import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { copyJob, openStage, type LoadStage } from '../support/load-job.ts';
import { createDatabasePair, type DatabasePair } from '../support/postgres.ts';

const megabyte = 1024 * 1024;

let pair: DatabasePair;
let stage: LoadStage;

beforeAll(async () => {
  pair = await createDatabasePair();
  stage = openStage(pair);
  // Does not compress, so that it is as long on the way as it is here. `repeat` would be a few bytes on disk.
  await pair.source.query(`
    CREATE FUNCTION pg_temp.noise(n int) RETURNS bytea LANGUAGE sql AS $$
      SELECT string_agg(sha512((i::text || random())::bytea), '') FROM generate_series(1, n / 64) i $$;
    CREATE TABLE one (id int PRIMARY KEY, v bytea); ALTER TABLE one ALTER v SET STORAGE EXTERNAL;
    CREATE TABLE many (id int PRIMARY KEY, v bytea); ALTER TABLE many ALTER v SET STORAGE EXTERNAL;
    CREATE TABLE as_text (id int PRIMARY KEY, r regclass, v bytea); ALTER TABLE as_text ALTER v SET STORAGE EXTERNAL;
    INSERT INTO one VALUES (1, pg_temp.noise(${String(300 * megabyte)})), (2, NULL);
    INSERT INTO many SELECT i, pg_temp.noise(${String(20 * megabyte)}) FROM generate_series(1, 30) i;
    INSERT INTO as_text SELECT 1, 'pg_class', v FROM one WHERE id = 1`);
});

afterAll(async () => {
  await stage.close();
  await pair.drop();
});

/** Highest resident set while `work` ran, above what was resident before. */
async function peakOf(work: () => Promise<unknown>): Promise<number> {
  const before = process.memoryUsage.rss();
  writeFileSync('/proc/self/clear_refs', '5');
  await work();
  const peak = Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024;
  return Math.round((peak - before) / megabyte);
}

const images = (table: string) => `SELECT id, md5(v), octet_length(v) FROM ${table} ORDER BY id`;

describe.each(['one', 'many', 'as_text'])('rows of very many bytes (%s)', (table) => {
  it.each(['replace', 'upsert', 'append'] as const)(
    'pass through bounded memory, equal: %s',
    async (mode) => {
      if (mode === 'append') await pair.target.query(`TRUNCATE ${table}`);
      const megabytes = await peakOf(() => stage.run(copyJob({ tables: [`public.${table}`], mode })));
      expect(await pair.target.query(images(table))).toEqual(await pair.source.query(images(table)));
      expect(megabytes).toBeLessThan(120);
    },
  );
});
