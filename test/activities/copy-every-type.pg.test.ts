import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { copyJob, type LoadStage, openStage } from '../support/load-job.ts';
import { contentOf } from '../support/table-content.ts';
import { everyTypeZoo, keylessZoo } from '../support/every-type-zoo.ts';

/** Every column type of the server, from one version to another; compared by the text that psql would show. */
describe.each([
  [18, 15],
  [15, 18],
] as const)('from PostgreSQL %i to %i', (from, to) => {
  let source: TestDatabase;
  let target: TestDatabase;
  let stage: LoadStage;

  beforeAll(async () => {
    [source, target] = await Promise.all([createDatabase(from), createDatabase(to)]);
    // OIDs of the user's types must not be the same on both servers by luck.
    await target.query("CREATE TYPE first_one AS ENUM ('x'); CREATE TYPE second_one AS (a int);");
    for (const database of [source, target])
      await database.query('CREATE EXTENSION hstore SCHEMA public; CREATE EXTENSION citext SCHEMA public;');
    // Virtual columns are newer than 15.
    await source.query(everyTypeZoo(Math.min(from, to) as 15 | 18));
    await source.query(keylessZoo);
    stage = openStage({ source, target });
  });
  afterAll(async () => {
    await stage.close();
    await Promise.all([source.drop(), target.drop()]);
  });

  afterEach(() => target.query('DROP SCHEMA IF EXISTS zoo CASCADE'));

  it.each(['replace', 'append', 'upsert'] as const)(
    'brings every type over unchanged by %s',
    async (mode) => {
      const job = copyJob({ tables: ['zoo.*'], mode });
      const outcome = await stage.run(job);
      expect(outcome.totals.unitsSkipped).toBe(0);
      const tables = await source.query<{ name: string }>(
        `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname = 'zoo' ORDER BY 1`,
      );
      expect(tables.length).toBeGreaterThan(10);
      for (const { name } of tables) {
        expect(await contentOf(target, name), name).toEqual(await contentOf(source, name));
      }
    },
  );

  it.each(['replace', 'append'] as const)(
    'brings tables without a key or without columns by %s',
    async (mode) => {
      await stage.run(copyJob({ tables: ['keyless.*'], mode }));
      for (const name of ['no_columns', 'no_columns_no_rows', 'same_rows', 'only_generated']) {
        const table = `keyless.${name}`;
        expect(await contentOf(target, table), table).toEqual(await contentOf(source, table));
      }
      await target.query('DROP SCHEMA keyless CASCADE');
    },
  );
});
