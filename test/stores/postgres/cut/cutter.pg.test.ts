import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTableReader } from '../../../../stores/postgres/catalog/table-reader.ts';
import type { Sessions } from '../../../../stores/postgres/connection.ts';
import { createCutter } from '../../../../stores/postgres/cut/cutter.ts';
import type { ChunkCut, CutOptions, KeyRange } from '../../../../stores/spi/chunk-source.ts';
import type { TableDefinition } from '../../../../stores/spi/tables.ts';
import { createDatabase, type TestDatabase } from '../../../support/postgres.ts';
import { openSessions } from '../catalog/zoo.ts';

describe.each([18, 15] as const)('cutting on PostgreSQL %i', (version) => {
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

  const find = async (name: string): Promise<TableDefinition> => {
    const [table] = await createTableReader(sessions, 'source').find([{ schema: 'public', name }]);
    if (table === null || table === undefined) throw new Error(`no table ${name}`);
    return table;
  };
  const cut = async (table: TableDefinition, options: Partial<CutOptions> = {}): Promise<ChunkCut[]> => {
    const cuts: ChunkCut[] = [];
    const all = { chunks: '%', chunkBytes: 1e12, window: null, where: null, ...options };
    for await (const chunk of createCutter(sessions).cut(table, all)) cuts.push(chunk);
    return cuts;
  };
  const names = async (table: TableDefinition, options: Partial<CutOptions>): Promise<string[]> =>
    (await cut(table, options)).map((chunk) => chunk.leaf.name.name);

  /** Asks the server how many rows each range holds, exactly as a reader of the unit would. */
  const rowsOf = async (table: string, ranges: readonly (KeyRange | null)[]): Promise<number[]> => {
    const counts: number[] = [];
    for (const range of ranges) {
      const key = `ROW(${(range?.columns ?? []).map((column) => `"${column.replaceAll('"', '""')}"`).join(', ')})`;
      const row = (values: readonly string[]): string =>
        `ROW(${values.map((value) => `E'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`).join(', ')})`;
      const conditions = [
        'true',
        ...(range?.from ? [`${key} >= ${row(range.from)}`] : []),
        ...(range?.to ? [`${key} < ${row(range.to)}`] : []),
      ];
      const [found] = await database.query<{ n: number }>(
        `SELECT count(*)::int AS n FROM ONLY ${table} WHERE ${conditions.join(' AND ')}`,
      );
      counts.push(found?.n ?? -1);
    }
    return counts;
  };

  it.each([
    ['bigint', 'i - 5000'],
    ['numeric', 'i / 7.0'],
    [
      'double precision',
      "CASE i WHEN 1 THEN 'NaN' WHEN 2 THEN '-Infinity' WHEN 3 THEN 0.1 ELSE i / 3.0 END::float8",
    ],
    ['text', "md5(i::text) || CASE WHEN i % 3 = 0 THEN 'Ä'' \\ \"' ELSE '' END"],
    ['uuid', 'md5(i::text)::uuid'],
    ['bytea', "decode(md5(i::text), 'hex')"],
    [
      'timestamptz',
      "CASE i WHEN 1 THEN 'infinity' ELSE timestamptz '4000-01-01 BC' + i * interval '251 days 1.234567 s' END",
    ],
    ['date', "'2000-01-01'::date + i"],
    ['character(40)', 'md5(i::text)'],
    ['inet', "'10.0.0.0'::inet + i"],
    ['boolean', 'i = 1'],
  ])('cuts a key of type %s without gap or overlap', async (type, expression) => {
    await database.query(
      `DROP TABLE IF EXISTS one; CREATE TABLE one ("k ""x" ${type} PRIMARY KEY, pad text)`,
    );
    await database.query(
      `INSERT INTO one SELECT DISTINCT v, repeat('x', 50) FROM (SELECT ${expression} AS v FROM generate_series(1, 9000) i) s`,
    );
    const table = await find('one');
    const bytes = table.leaves[0]?.bytes ?? 0;
    const [chunk] = await cut(table, { chunkBytes: bytes / 7.5 });
    const ranges = chunk?.ranges ?? [];
    const counts = await rowsOf('one', ranges);
    const [total] = await database.query<{ n: number }>('SELECT count(*)::int AS n FROM one');
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(total?.n);
    expect(ranges).toHaveLength(Math.min(8, total?.n ?? 0));
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    expect([ranges[0]?.from, ranges.at(-1)?.to]).toEqual([null, null]);
    expect(ranges.slice(1).map((range) => range?.from)).toEqual(
      ranges.slice(0, -1).map((range) => range?.to),
    );
  });

  it('cuts a key of several columns as rows', async () => {
    await database.query(`
      DROP TABLE IF EXISTS several; CREATE TABLE several (a int, b text, c timestamptz, PRIMARY KEY (b, a, c));
      INSERT INTO several SELECT i % 5, chr(97 + i % 3), now() + i * interval '1 us' FROM generate_series(1, 5000) i`);
    const table = await find('several');
    const [chunk] = await cut(table, { chunkBytes: (table.leaves[0]?.bytes ?? 0) / 40 });
    const counts = await rowsOf('several', chunk?.ranges ?? []);
    expect(chunk?.ranges[0]?.columns).toEqual(['b', 'a', 'c']);
    expect(counts).toHaveLength(40);
    expect(counts.every((count) => count === 125)).toBe(true);
  });

  it('leaves whole what is small, has no key, or has one that is no order to cut by', async () => {
    await database.query(`
      CREATE TABLE keyless AS SELECT i FROM generate_series(1, 2000) i;
      CREATE TABLE odd (k int[] PRIMARY KEY); INSERT INTO odd SELECT ARRAY[i] FROM generate_series(1, 2000) i;
      CREATE TABLE empty (k int PRIMARY KEY); CREATE TABLE nothing ()`);
    for (const name of ['keyless', 'odd', 'empty', 'nothing']) {
      const [chunk] = await cut(await find(name), { chunkBytes: 1 });
      expect(chunk?.ranges).toEqual([null]);
    }
  });

  it('leaves a child whole that lacks the index of the key', async () => {
    await database.query(`
      CREATE TABLE up (k int PRIMARY KEY); CREATE TABLE down () INHERITS (up);
      INSERT INTO up SELECT generate_series(1, 3000); INSERT INTO down SELECT generate_series(1, 3000)`);
    const cuts = await cut({ ...(await find('up')), key: ['k'] }, { chunkBytes: 8192 });
    expect(cuts.map((chunk) => chunk.ranges.length > 1)).toEqual([true, false]);
    const counts = await rowsOf('up', cuts[0]?.ranges ?? []);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(3000);
  });

  it('samples a big leaf, and still covers it without gap or overlap', async () => {
    await database.query(`
      CREATE TABLE big (k bigint PRIMARY KEY, t text);
      INSERT INTO big SELECT i * 3, repeat('x', 20) FROM generate_series(1, 400000) i`);
    const table = await find('big');
    const [leaf] = table.leaves;
    if (leaf === undefined) throw new Error('a plain table has one leaf');
    // As large as it must be for a sample; the rows stay what they are.
    const [chunk] = await cut(
      { ...table, leaves: [{ ...leaf, bytes: 2e9, rows: 400_000 }] },
      { chunkBytes: 2e8 },
    );
    const counts = await rowsOf('big', chunk?.ranges ?? []);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(400_000);
    expect(counts).toHaveLength(10);
    expect(Math.max(...counts)).toBeLessThan(100_000);
  });

  it('cuts only what a filter lets through, in slices of its size', async () => {
    const table = await find('big');
    const bytes = table.leaves[0]?.bytes ?? 0;
    const [some] = await cut(table, { chunkBytes: bytes / 100, where: 'k <= 120000' });
    expect(some?.ranges).toHaveLength(10);
    const [windowed] = await cut(table, {
      chunkBytes: bytes / 100,
      window: { column: 'k', from: '0', to: '240001' },
    });
    expect(windowed?.ranges).toHaveLength(20);
    expect(windowed?.bytes).toBeLessThan(bytes / 4);
  });

  it('cuts one table into 100,000 slices', async () => {
    const table = await find('big');
    const [chunk] = await cut(table, { chunkBytes: (table.leaves[0]?.bytes ?? 0) / 99_999.5 });
    const ranges = chunk?.ranges ?? [];
    expect(ranges).toHaveLength(100_000);
    expect(ranges.slice(1).every((range, index) => range?.from?.[0] === ranges[index]?.to?.[0])).toBe(true);
    expect(new Set(ranges.map((range) => range?.from?.[0])).size).toBe(100_000);
  });

  describe('of a partitioned table', () => {
    let table: TableDefinition;
    beforeAll(async () => {
      await database.query(`
        CREATE TABLE days (d timestamptz, region text, id int) PARTITION BY RANGE (d);
        CREATE TABLE days_old PARTITION OF days FOR VALUES FROM (MINVALUE) TO ('2024-01-01 00:00+00');
        CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM ('2024-01-01 00:00+00') TO ('2024-01-02 00:00+00');
        CREATE TABLE days_2 PARTITION OF days FOR VALUES FROM ('2024-01-02 00:00+00') TO ('2024-01-03 00:00+00') PARTITION BY HASH (id);
        CREATE TABLE days_2_h PARTITION OF days_2 FOR VALUES WITH (MODULUS 1, REMAINDER 0);
        CREATE TABLE days_rest PARTITION OF days DEFAULT;
        CREATE TABLE lists (n int, m int) PARTITION BY LIST (n);
        CREATE TABLE lists_a PARTITION OF lists FOR VALUES IN (1, 5, NULL); CREATE TABLE lists_b PARTITION OF lists FOR VALUES IN (3);
        CREATE TABLE pairs (a int, b int) PARTITION BY RANGE (a, b);
        CREATE TABLE pairs_1 PARTITION OF pairs FOR VALUES FROM (1, 1) TO (2, 5); CREATE TABLE pairs_2 PARTITION OF pairs FOR VALUES FROM (2, 5) TO (9, MAXVALUE)`);
      table = await find('days');
    });

    const inWindow = (from: string | null, to: string | null): Promise<string[]> =>
      names(table, { window: { column: 'd', from, to } });

    it('takes only leaves whose bound can hold rows of the half-open window', async () => {
      expect(await inWindow(null, null)).toHaveLength(4);
      expect(await inWindow('2024-01-01 00:00+00', '2024-01-02 00:00+00')).toEqual(['days_1', 'days_rest']);
      expect(await inWindow('2024-01-01 23:00+00', '2024-01-02 00:00:00.000001+00')).toEqual([
        'days_1',
        'days_2_h',
        'days_rest',
      ]);
      expect(await inWindow(null, '2024-01-01 00:00+00')).toEqual(['days_old', 'days_rest']);
      expect(await inWindow('2024-01-03 00:00+00', null)).toEqual(['days_rest']);
      expect(await inWindow('2024-01-03 02:00+02', null)).toEqual(['days_rest']);
    });

    it('decides by the values of lists and the first column of several', async () => {
      const lists = await find('lists');
      const at = (column: string, from: string, to: string): Partial<CutOptions> => ({
        window: { column, from, to },
      });
      expect(await names(lists, at('n', '2', '4'))).toEqual(['lists_b']);
      expect(await names(lists, at('n', '5', '6'))).toEqual(['lists_a']);
      expect(await names(lists, at('m', '5', '6'))).toEqual(['lists_a', 'lists_b']);
      const pairs = await find('pairs');
      expect(await names(pairs, at('a', '2', '3'))).toEqual(['pairs_1', 'pairs_2']);
      expect(await names(pairs, at('a', '3', '4'))).toEqual(['pairs_2']);
      expect(await names(pairs, at('b', '100', '101'))).toEqual(['pairs_1', 'pairs_2']);
    });

    it('takes only leaves whose name matches the pattern', async () => {
      expect(await names(table, { chunks: 'days\\__' })).toEqual(['days_1']);
      expect(await names(table, { chunks: 'none%' })).toEqual([]);
    });

    it('says the bound of each chunk as a condition, but no hash', async () => {
      const cuts = await cut(table);
      expect(
        cuts.map((chunk) => [chunk.leaf.name.name, chunk.bound === null || chunk.bound === undefined]),
      ).toEqual([
        ['days_old', false],
        ['days_1', false],
        ['days_2_h', true],
        ['days_rest', false],
      ]);
      for (const { bound } of cuts) {
        if (typeof bound !== 'string') continue;
        await database.query(`SELECT FROM days WHERE ${bound}`);
      }
    });
  });
});
