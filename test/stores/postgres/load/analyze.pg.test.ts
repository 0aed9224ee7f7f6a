import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Sessions } from '../../../../stores/postgres/connection.ts';
import { analyzeTables } from '../../../../stores/postgres/load/analyze.ts';
import { eventually } from '../../../support/eventually.ts';
import { createDatabase, type TestDatabase } from '../../../support/postgres.ts';
import { openSessions } from '../catalog/zoo.ts';

const tableNames = ['parts', 'plain', 'Old "way"'].map((name) => ({ schema: 'public', name }));

describe.each([18, 15] as const)('ANALYZE on PostgreSQL %i', (version) => {
  let database: TestDatabase;
  let sessions: Sessions;

  beforeAll(async () => {
    database = await createDatabase(version);
    sessions = openSessions(database);
  });
  afterAll(async () => {
    await sessions.close();
    await database.drop();
  });

  beforeEach(async () => {
    await database.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public');
    await database.query(`
      CREATE TABLE parts (i int PRIMARY KEY, t text) PARTITION BY RANGE (i);
      CREATE TABLE sub PARTITION OF parts FOR VALUES FROM (400) TO (1000) PARTITION BY RANGE (i);
      CREATE TABLE sub_low PARTITION OF sub FOR VALUES FROM (400) TO (500);
      CREATE TABLE sub_high PARTITION OF sub FOR VALUES FROM (500) TO (1000);
      CREATE TABLE plain (i int, t text);
      CREATE TABLE "Old ""way""" (i int, t text);
      CREATE TABLE child () INHERITS ("Old ""way""")`);
    for (const part of ['0', '1', '2', '3'])
      await database.query(
        `CREATE TABLE part_${part} PARTITION OF parts FOR VALUES FROM (${part}00) TO (${part}99)`,
      );
    for (const table of ['parts', 'plain', '"Old ""way"""', 'child'])
      await database.query(
        `INSERT INTO ${table} SELECT i, 'x' FROM generate_series(0, 900) i WHERE i % 100 < 99`,
      );
  });

  /** `table` or `table+` for statistics over what is below it. */
  const known = async (): Promise<readonly string[]> => {
    const rows = await database.query<{ name: string }>(
      `SELECT DISTINCT tablename || CASE WHEN inherited THEN '+' ELSE '' END AS name FROM pg_stats
        WHERE schemaname = 'public' ORDER BY 1`,
    );
    return rows.map(({ name }) => name);
  };

  it('reaches every partition, what is above it, plain tables and inheritance children', async () => {
    await analyzeTables(sessions, tableNames);
    expect([...(await known())].sort()).toEqual(
      [
        ...['part_0', 'part_1', 'part_2', 'part_3', 'sub_low', 'sub_high', 'plain', 'child'],
        ...['parts+', 'sub+', 'Old "way"', 'Old "way"+'],
      ].sort(),
    );
    const [rows] = await database.query<{ rows: number }>(
      `SELECT reltuples::int AS rows FROM pg_class WHERE relname = 'parts'`,
    );
    expect(rows?.rows).toBe(892);
  });

  it('takes each partition once', async () => {
    await analyzeTables(sessions, tableNames);
    await eventually(async () => {
      const counts = await database.query<{ relname: string; times: string }>(
        `SELECT relname, analyze_count AS times FROM pg_stat_user_tables WHERE schemaname = 'public' ORDER BY 1`,
      );
      expect(counts.map(({ times }) => Number(times))).toEqual(counts.map(() => 1));
      return true;
    });
  });

  it('runs several times at once, and leaves no lock and no transaction', async () => {
    await Promise.all(Array.from({ length: 5 }, () => analyzeTables(sessions, tableNames)));
    expect(await known()).toContain('parts+');
    expect(
      await database.query(
        `SELECT state FROM pg_stat_activity WHERE application_name LIKE 'syncline/%' AND state <> 'idle'
            AND datname = current_database() AND pid <> pg_backend_pid()`,
      ),
    ).toEqual([]);
  });

  it('ends its helpers when a table cannot be analyzed', async () => {
    await database.query(
      `CREATE FUNCTION boom(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN IF $1 > 0 THEN RAISE 'boom'; END IF; RETURN 1; END $$;
       CREATE TABLE broken (i int); CREATE STATISTICS broken_stats ON (public.boom(i)), i FROM broken; INSERT INTO broken VALUES (1)`,
    );
    await expect(
      analyzeTables(sessions, [...tableNames, { schema: 'public', name: 'broken' }]),
    ).rejects.toThrow();
    await database.query('DROP TABLE broken');
    await analyzeTables(sessions, tableNames);
    expect(await known()).toContain('parts+');
  });

  it('of no table does nothing', async () => {
    await analyzeTables(sessions, []);
    expect(await known()).toEqual([]);
  });
});
