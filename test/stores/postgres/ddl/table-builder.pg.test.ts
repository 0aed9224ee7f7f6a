import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTableReader } from '../../../../stores/postgres/catalog/table-reader.ts';
import type { Sessions } from '../../../../stores/postgres/connection.ts';
import { createTableBuilder } from '../../../../stores/postgres/ddl/table-builder.ts';
import type { TableDefinition, TableName, TableScript } from '../../../../stores/spi/tables.ts';
import {
  createDatabase,
  createDatabasePair,
  type DatabasePair,
  type TestDatabase,
} from '../../../support/postgres.ts';
import { openSessions, selection, zoo } from '../catalog/zoo.ts';

/** Everything that a schema holds, in the server's own words and without object ids. */
const inventory = `
SELECT format('column %s.%I %s %s %s %s %s %s %s %s', a.attrelid::regclass, a.attname, format_type(a.atttypid, a.atttypmod),
         a.attnotnull, a.attgenerated, a.attidentity, a.attcollation::regcollation, a.attstorage, a.attcompression,
         pg_get_expr(d.adbin, d.adrelid)) AS line
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
 WHERE c.relnamespace = ANY ($1::regnamespace[]) AND c.relkind IN ('r', 'p', 'c') AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL SELECT format('table %s %s %s %s %s %s', c.oid::regclass, c.relkind, c.relreplident, c.reloptions,
         pg_get_partkeydef(c.oid), pg_get_expr(c.relpartbound, c.oid))
  FROM pg_class c WHERE c.relnamespace = ANY ($1::regnamespace[]) AND c.relkind IN ('r', 'p')
UNION ALL SELECT format('index %s %s', pg_get_indexdef(i.indexrelid), i.indisreplident)
  FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relnamespace = ANY ($1::regnamespace[])
UNION ALL SELECT format('constraint %I on %s %s %s', conname, conrelid::regclass, pg_get_constraintdef(oid), convalidated)
  FROM pg_constraint WHERE connamespace = ANY ($1::regnamespace[])
UNION ALL SELECT format('inherits %s %s %s', inhrelid::regclass, inhparent::regclass, inhseqno)
  FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE c.relnamespace = ANY ($1::regnamespace[])
UNION ALL SELECT format('sequence %s %s %s %s %s', s.seqrelid::regclass, s.seqtypid::regtype, s.seqstart, s.seqincrement,
         pg_sequence_last_value(s.seqrelid))
  FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid WHERE c.relnamespace = ANY ($1::regnamespace[])
UNION ALL SELECT format('statistics %s', pg_get_statisticsobjdef(oid))
  FROM pg_statistic_ext WHERE stxnamespace = ANY ($1::regnamespace[])
UNION ALL SELECT format('comment %s %s', pg_describe_object(d.classoid, d.objoid, d.objsubid), d.description)
  FROM pg_description d JOIN pg_class c ON c.oid = d.objoid WHERE c.relnamespace = ANY ($1::regnamespace[])
UNION ALL SELECT format('type %s %s %s %s', t.oid::regtype, t.typtype, format_type(t.typbasetype, t.typtypmod),
         ARRAY(SELECT enumlabel FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY enumsortorder))
  FROM pg_type t WHERE t.typnamespace = ANY ($1::regnamespace[])
ORDER BY 1`;

async function linesOf(database: TestDatabase, ...schemas: string[]): Promise<string[]> {
  const rows = await database.query<{ line: string }>(inventory, [schemas]);
  return rows.map((row) => row.line);
}

interface Builder {
  readonly describe: (pattern: string) => Promise<TableDefinition[]>;
  readonly script: (name: string, as?: TableName) => Promise<TableScript>;
  readonly build: (script: TableScript) => Promise<void>;
}

function builderOf(source: Sessions, target: Sessions): Builder {
  const describePattern = async (pattern: string): Promise<TableDefinition[]> => {
    const { tables } = await createTableReader(source, 'source').describe([selection(pattern)]);
    return tables.map((table) => table.definition);
  };
  return {
    describe: describePattern,
    script: async (name, as) => {
      const [table] = await describePattern(name);
      if (table === undefined) throw new Error(`no table ${name}`);
      return await createTableBuilder(source).script(table, as ?? table.name);
    },
    build: async (script) => {
      await createTableBuilder(target).create(script);
      await createTableBuilder(target).complete(script);
    },
  };
}

describe.each([
  [18, 18],
  [15, 18],
] as const)('tables rebuilt from PostgreSQL %i on %i', (from, to) => {
  let source: TestDatabase;
  let target: TestDatabase;
  let sessions: Sessions[];
  let builder: Builder;

  beforeAll(async () => {
    [source, target] = [await createDatabase(from), await createDatabase(to)];
    await source.query(zoo);
    await source.query(
      `SELECT nextval('zoo.free_seq'), nextval('zoo.all_types_s_seq'), setval('zoo.all_types_id_seq', 300)`,
    );
    sessions = [openSessions(source), openSessions(target)];
    const [left, right] = sessions;
    if (left === undefined || right === undefined) throw new Error('two sessions were opened');
    builder = builderOf(left, right);
    for (const pattern of ['zoo.*', '"Odd.Schema".*']) {
      const scripts = (await builder.describe(pattern)).map((table) =>
        createTableBuilder(left).script(table, table.name),
      );
      for (const script of await Promise.all(scripts)) await createTableBuilder(right).create(script);
      for (const script of await Promise.all(scripts)) await createTableBuilder(right).complete(script);
    }
  });
  afterAll(async () => {
    await Promise.all(sessions.map((each) => each.close()));
    await Promise.all([source.drop(), target.drop()]);
  });

  it('are described by the catalogue in the same words', async () => {
    const words = (lines: string[]): string[] =>
      lines
        .filter((line) => !line.startsWith('constraint') || !line.includes(' NOT NULL '))
        .map((line) => line.replace("FOR VALUES IN ('fr', 'de')", "FOR VALUES IN ('de', 'fr')"));
    const [expected, actual] = await Promise.all([
      linesOf(source, 'zoo', '"Odd.Schema"'),
      linesOf(target, 'zoo', '"Odd.Schema"'),
    ]);
    expect(words(actual)).toEqual(words(expected));
    expect(actual.length).toBeGreaterThan(100);
  });

  it('do not change when they are built again', async () => {
    const before = await linesOf(target, 'zoo', '"Odd.Schema"');
    for (const pattern of ['zoo.*', '"Odd.Schema".*']) {
      for (const table of await builder.describe(pattern)) {
        const quoted = `"${table.name.schema}"."${table.name.name.replaceAll('"', '""')}"`;
        await builder.build(await builder.script(quoted));
      }
    }
    expect(await linesOf(target, 'zoo', '"Odd.Schema"')).toEqual(before);
  });
});

describe('a table script', () => {
  let pair: DatabasePair;
  let source: TestDatabase;
  let target: TestDatabase;
  let left: Sessions;
  let right: Sessions;
  let builder: Builder;

  beforeAll(async () => {
    pair = await createDatabasePair();
    ({ source, target } = pair);
    await source.query(zoo);
    left = openSessions(source);
    right = openSessions(target);
    builder = builderOf(left, right);
  });
  afterAll(async () => {
    await left.close();
    await right.close();
    await pair.drop();
  });

  it('gives partitions, sequences, keys and indexes names after the new table, quoted and in upper case', async () => {
    await builder.build(await builder.script('zoo.deep', { schema: 'Other.Place', name: 'We"ird' }));
    const reader = createTableReader(right, 'target');
    const [deep] = await reader.find([{ schema: 'Other.Place', name: 'We"ird' }]);
    const [original] = await createTableReader(left, 'source').find([{ schema: 'zoo', name: 'deep' }]);
    expect(deep?.leaves.map((leaf) => leaf.name.name)).toEqual(
      original?.leaves.map((leaf) => leaf.name.name.replace('deep', 'We"ird')),
    );
    expect(deep?.leaves.map((leaf) => leaf.bounds)).toEqual(original?.leaves.map((leaf) => leaf.bounds));
    await builder.build(await builder.script('zoo.full_house', { schema: 'Other.Place', name: 'house' }));
    await target.query(`INSERT INTO "Other.Place".house (x) VALUES (1)`);
    const [row] = await target.query<{ own: number; id: number }>(`SELECT own, id FROM "Other.Place".house`);
    expect(row).toEqual({ own: 1, id: 7 });
    const [sequence] = await target.query(
      `SELECT pg_get_serial_sequence('"Other.Place".house', 'own') AS name`,
    );
    expect(sequence).toEqual({ name: '"Other.Place".house_own_seq' });
  });

  it('adds missing partitions to a table that is there, and leaves all else as it is', async () => {
    await target.query(`
      CREATE SCHEMA IF NOT EXISTS zoo; CREATE TABLE zoo.deep (d date, region text, id bigint, v text, mine int) PARTITION BY RANGE (d);
      CREATE TABLE zoo.deep_2023 PARTITION OF zoo.deep FOR VALUES FROM ('2023-01-01') TO ('2024-01-01')`);
    await builder.build(await builder.script('zoo.deep'));
    const [deep] = await createTableReader(right, 'target').find([{ schema: 'zoo', name: 'deep' }]);
    expect(deep?.leaves).toHaveLength(5);
    expect(deep?.key).toBeNull();
    expect(deep?.columns.map((column) => column.name)).toContain('mine');
    const [indexes] = await target.query(
      `SELECT count(*)::int AS n FROM pg_index WHERE indrelid = 'zoo.deep_2023'::regclass`,
    );
    expect(indexes).toEqual({ n: 0 });
  });

  it('builds nothing when one statement fails', async () => {
    await source.query('CREATE TABLE zoo.broken (a int, b int)');
    const script = await builder.script('zoo.broken');
    const broken = { ...script, shape: [...script.shape, 'SELECT 1 FROM not_there'] };
    const mixed = { ...broken, before: [...broken.before, 'CREATE SCHEMA half'] };
    await expect(createTableBuilder(right).create(mixed)).rejects.toMatchObject({
      details: { sqlState: '42P01' },
    });
    const [found] = await target.query(
      `SELECT to_regclass('zoo.broken') AS name, to_regnamespace('half') AS half`,
    );
    expect(found).toEqual({ name: null, half: null });
  });

  it('is built once when several build it at the same time', async () => {
    await source.query('CREATE TABLE zoo.raced (a int PRIMARY KEY, b int); CREATE INDEX ON zoo.raced (b)');
    const script = await builder.script('zoo.raced');
    await Promise.all([1, 2, 3].map(() => createTableBuilder(right).create(script)));
    const [indexes] = await target.query(
      `SELECT count(*)::int AS n FROM pg_index WHERE indrelid = 'zoo.raced'::regclass`,
    );
    expect(indexes).toEqual({ n: 2 });
  });

  it('moves sequences forward and never back', async () => {
    await source.query(`CREATE TABLE zoo.counted (id int GENERATED ALWAYS AS IDENTITY, s serial)`);
    await builder.build(await builder.script('zoo.counted'));
    await source.query(`INSERT INTO zoo.counted SELECT FROM generate_series(1, 10)`);
    await builder.build(await builder.script('zoo.counted'));
    await target.query(`SELECT setval('zoo.counted_s_seq', 50)`);
    await builder.build(await builder.script('zoo.counted'));
    await target.query('INSERT INTO zoo.counted DEFAULT VALUES');
    expect(await target.query('SELECT * FROM zoo.counted')).toEqual([{ id: 11, s: 51 }]);
  });

  it('adds a foreign key at the end, once the other table is there', async () => {
    await source.query(
      'CREATE TABLE zoo.a (id int PRIMARY KEY); CREATE TABLE zoo.b (a int CONSTRAINT b_a REFERENCES zoo.a)',
    );
    const b = await builder.script('zoo.b');
    const keys = (): Promise<unknown[]> =>
      target.query(`SELECT convalidated FROM pg_constraint WHERE conname = 'b_a' AND contype = 'f'`);
    expect(b.notCarried.join()).toContain('b_a');
    await builder.build(b);
    expect(await keys()).toEqual([]);
    await builder.build(await builder.script('zoo.a'));
    await target.query('INSERT INTO zoo.b VALUES (1)');
    await expect(createTableBuilder(right).complete(b)).rejects.toMatchObject({ code: 'target.constraint' });
    await target.query('INSERT INTO zoo.a VALUES (1)');
    await createTableBuilder(right).complete(b);
    expect(await keys()).toEqual([{ convalidated: true }]);
  });

  it('lists what it does not carry', async () => {
    await source.query(`
      CREATE TABLE zoo.laden (a int, b text); CREATE TABLE zoo.under () INHERITS (zoo.laden);
      CREATE TRIGGER t1 BEFORE INSERT ON zoo.laden FOR EACH ROW EXECUTE FUNCTION zoo.nothing_new();
      CREATE RULE r1 AS ON DELETE TO zoo.laden DO INSTEAD NOTHING; CREATE VIEW zoo.seen AS SELECT a FROM zoo.laden;
      CREATE POLICY p1 ON zoo.laden USING (true); GRANT SELECT ON zoo.laden TO PUBLIC;
      CREATE FUNCTION zoo.own_fn(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
      CREATE INDEX ON zoo.laden (zoo.own_fn(a)); CREATE UNLOGGED TABLE zoo.light (x int);
      CREATE PUBLICATION laden_pub FOR TABLE zoo.laden`);
    const said = (await builder.script('zoo.laden')).notCarried.join('\n');
    for (const name of [
      'Triggers',
      't1',
      'Rules',
      'r1',
      'zoo.seen',
      'p1',
      'Grants',
      'laden_pub',
      'own_fn(integer)',
    ]) {
      expect(said).toContain(name);
    }
    expect((await builder.script('zoo.light')).notCarried).toEqual([
      'Being unlogged (zoo.light): zoo.light.',
    ]);
    expect((await builder.script('zoo.under')).notCarried.join()).toContain('zoo.under below zoo.laden');
    await source.query('CREATE TABLE zoo.simple (a int)');
    expect((await builder.script('zoo.simple')).notCarried).toEqual([]);
  });

  it('rebuilds a partition that is copied alone as a table of its own', async () => {
    await builder.build(await builder.script('zoo.deep_2024_eu', { schema: 'alone', name: 'eu' }));
    const [eu] = await createTableReader(right, 'target').find([{ schema: 'alone', name: 'eu' }]);
    expect(eu).toMatchObject({ shape: 'partitioned', key: ['d', 'region', 'id'] });
    expect(eu?.leaves.map((leaf) => leaf.name.name)).toEqual(
      ['eu_deep_2024_eu_0', 'eu_deep_2024_eu_1'].map((name) => name.replace('deep_2024_eu_', '')),
    );
  });

  it('brings the extensions that types, constraints and statistics need', async () => {
    await source.query(`
      CREATE EXTENSION hstore SCHEMA public; CREATE EXTENSION btree_gist SCHEMA public;
      CREATE TABLE zoo.extended (h public.hstore, hs public.hstore[], i int, a int, EXCLUDE USING gist (i WITH =));
      CREATE STATISTICS zoo.sums ON (a + i), i FROM zoo.extended`);
    const script = await builder.script('zoo.extended', { schema: 'e', name: 'X "y' });
    expect(script.notCarried.join()).toContain('Extension hstore');
    await builder.build(script);
    const [table] = await createTableReader(right, 'target').find([{ schema: 'e', name: 'X "y' }]);
    expect(table?.columns.map((column) => [column.type, column.binarySafe])).toEqual([
      ['public.hstore', true],
      ['public.hstore[]', true],
      ['integer', true],
      ['integer', true],
    ]);
  });

  it('carries virtual generated columns of 18, and refreshes statistics', async () => {
    await source.query('CREATE TABLE zoo.virtual (a int, b int GENERATED ALWAYS AS (a * 2) VIRTUAL)');
    await builder.build(await builder.script('zoo.virtual'));
    await target.query('INSERT INTO zoo.virtual VALUES (4)');
    await createTableBuilder(right).analyze([{ schema: 'zoo', name: 'virtual' }]);
    const [row] = await target.query(
      `SELECT b, reltuples FROM zoo.virtual, pg_class WHERE oid = 'zoo.virtual'::regclass`,
    );
    expect(row).toEqual({ b: 8, reltuples: 1 });
  });
});
