import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTableReader } from '../../../../stores/postgres/catalog/table-reader.ts';
import type { Sessions } from '../../../../stores/postgres/connection.ts';
import type { TableDefinition } from '../../../../stores/spi/tables.ts';
import { createDatabase, type TestDatabase } from '../../../support/postgres.ts';
import { openSessions, selection, zoo } from './zoo.ts';

describe.each([18, 15] as const)('the catalogue of PostgreSQL %i', (version) => {
  let database: TestDatabase;
  let sessions: Sessions;

  beforeAll(async () => {
    database = await createDatabase(version);
    await database.query(zoo);
    sessions = openSessions(database);
  });
  afterAll(async () => {
    await sessions.close();
    await database.drop();
  });

  const find = async (name: string, schema = 'zoo'): Promise<TableDefinition> => {
    const [found] = await createTableReader(sessions, 'zoo').find([{ schema, name }]);
    if (found === null || found === undefined) throw new Error(`${schema}.${name} was not found`);
    return found;
  };
  const names = async (...patterns: string[]): Promise<string[]> => {
    const { tables } = await createTableReader(sessions, 'zoo').describe(
      patterns.map((text) => selection(text)),
    );
    return tables.map(({ definition }) => definition.name.name);
  };

  it('expands wildcards in name order and leaves out what is below another selected table', async () => {
    expect(await names('zoo.*')).toEqual(['all_types', 'deep', 'dropped', 'full_house', 'nothing', 'parent']);
    expect(await names('zoo.deep_2024*')).toEqual(['deep_2024']);
    expect(await names('zoo.deep_2024_e*', '"Odd.Schema".*')).toEqual(['deep_2024_eu', 'We.ird"T']);
    expect(await names('zoo.deep', 'zoo.deep_2023')).toEqual(['deep']);
    expect(await names('zoo.deep_2023')).toEqual(['deep_2023']);
  });

  it('lets an exact name override a wildcard, and a wildcard name a table once', async () => {
    const { tables } = await createTableReader(sessions, 'zoo').describe([
      selection('zoo.*'),
      selection('zoo.d*'),
      selection('zoo.dropped', { where: 'a > 1' }),
    ]);
    const dropped = tables.filter(({ definition }) => definition.name.name === 'dropped');
    expect(dropped.map((table) => table.selection.where)).toEqual(['a > 1']);
    expect(tables).toHaveLength(6);
  });

  it('never shows the schemas of the server or of syncline', async () => {
    await database.query('CREATE SCHEMA syncline; CREATE TABLE syncline.ledger (x int)');
    expect(await names('syncline.*', 'pg_catalog.*', 'information_schema.*')).toEqual([]);
  });

  it('finds all that is wrong with selections at once', async () => {
    const { findings } = await createTableReader(sessions, 'zoo').describe([
      selection('zoo.nowhere'),
      selection('none.*'),
      selection('zoo.dropped', { columns: ['a', 'b'], where: 'a >' }),
      selection('zoo.parent', { window: { column: 'when', timezone: 'UTC' } }),
    ]);
    expect(findings.map((finding) => finding.code)).toEqual([
      'source.tableMissing',
      'source.tableMissing',
      'source.columnMissing',
      'source.invalidFilter',
      'source.columnMissing',
      'source.columnMissing',
    ]);
    expect(findings.at(-1)?.message).toContain('zoo.grandchild has columns that zoo.parent lacks (extra)');
  });

  it('takes a filter as one condition only', async () => {
    const { findings } = await createTableReader(sessions, 'zoo').describe([
      selection('zoo.dropped', { where: 'true); DROP TABLE zoo.dropped; SELECT (1' }),
    ]);
    expect(findings.map((finding) => finding.code)).toEqual(['source.invalidFilter']);
    expect((await find('dropped')).columns.map((column) => column.name)).toEqual(['a', 'c']);
  });

  it('says of each type whether it travels in binary and compares exactly', async () => {
    const { columns } = await find('all_types');
    expect(columns.filter((column) => !column.binarySafe).map((column) => column.name)).toEqual([
      'tq', // an empty one is refused in binary
      'rc',
      'rca',
      'acl',
    ]);
    expect(columns.filter((column) => column.comparesExactly).map((column) => column.name)).toEqual(
      'id,i2,i4,s,b,by,ts,tz,d,tm,u,po,o,g,nm'
        .split(',')
        .concat(await columnsInC())
        .sort(byPosition(columns)),
    );
    expect(columns.find((column) => column.name === 'ia')?.type).toBe('integer[]');
    expect(columns.find((column) => column.name === 'pp')?.type).toBe('zoo.pairs');
  });

  /** Text compares exactly where the database itself is in C. */
  const columnsInC = async (): Promise<string[]> => {
    const [row] = await database.query<{ inC: boolean }>(
      `SELECT datcollate IN ('C', 'POSIX') AS "inC" FROM pg_database WHERE datname = current_database()`,
    );
    return row?.inC === true ? ['t', 'vc'] : [];
  };
  const byPosition =
    (columns: TableDefinition['columns']) =>
    (left: string, right: string): number =>
      columns.findIndex((column) => column.name === left) -
      columns.findIndex((column) => column.name === right);

  it('describes generated, identity and quoted columns', async () => {
    const odd = await find('We.ird"T', 'Odd.Schema');
    expect(odd.key).toEqual(['Id "x']);
    expect(odd.columns).toMatchObject([
      { name: 'Id "x', type: 'integer', notNull: true, identity: 'always', hasDefault: true },
      { name: 'a.b', type: 'text', notNull: true, hasDefault: true, comparesExactly: true },
      { name: 'SELECT', type: 'numeric(10,2)', notNull: false, hasDefault: false },
    ]);
    const { columns } = await find('all_types');
    expect(columns.find((column) => column.name === 'g')).toMatchObject({
      generated: true,
      hasDefault: false,
    });
    expect(columns.find((column) => column.name === 'id')).toMatchObject({ identity: 'by-default' });
  });

  it('describes a table without columns', async () => {
    expect(await find('nothing')).toMatchObject({
      columns: [],
      key: null,
      shape: 'plain',
      leaves: [{ bounds: [] }],
    });
  });

  it('finds leaves of every level with their bounds, in order', async () => {
    const deep = await find('deep');
    expect(deep).toMatchObject({
      shape: 'partitioned',
      key: ['d', 'region', 'id'],
      hasSecondaryUnique: false,
    });
    const year = "FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')";
    const eu = "FOR VALUES IN ('de', 'fr')";
    expect(deep.leaves.map((leaf) => [leaf.name.name, leaf.bounds])).toEqual([
      ['deep_2023', ["FOR VALUES FROM ('2023-01-01') TO ('2024-01-01')"]],
      ['deep_2024_eu_0', [year, eu, 'FOR VALUES WITH (modulus 2, remainder 0)']],
      ['deep_2024_eu_1', [year, eu, 'FOR VALUES WITH (modulus 2, remainder 1)']],
      ['deep_2024_rest', [year, 'DEFAULT']],
      ['deep_default', ['DEFAULT']],
    ]);
    expect(deep.leaves[1]?.partitionedBy).toEqual(['RANGE (d)', 'LIST (region)', 'HASH (id)']);
  });

  it('takes an inheritance tree as the root alone and each child, and its key only if all have it', async () => {
    const parent = await find('parent');
    expect(parent).toMatchObject({ shape: 'inherited', key: ['id'] });
    expect(parent.leaves.map((leaf) => leaf.name.name)).toEqual(['parent', 'child', 'grandchild']);
    await database.query('CREATE TABLE zoo.loose () INHERITS (zoo.parent)');
    expect((await find('parent')).key).toBeNull();
    await database.query('DROP TABLE zoo.loose');
  });

  it('takes as key neither nullable nor deferrable nor partial indexes', async () => {
    await database.query(`
      CREATE TABLE zoo.keys (a int, b int NOT NULL, c int NOT NULL, d int NOT NULL, UNIQUE (a),
        CONSTRAINT late UNIQUE (b) DEFERRABLE);
      CREATE UNIQUE INDEX ON zoo.keys (c) WHERE c > 0; CREATE UNIQUE INDEX ON zoo.keys ((c + 1))`);
    expect(await find('keys')).toMatchObject({ key: null, hasSecondaryUnique: true });
    await database.query('CREATE UNIQUE INDEX ON zoo.keys (d) INCLUDE (a)');
    expect((await find('keys')).key).toEqual(['d']);
    await database.query('DROP TABLE zoo.keys');
  });

  it('names what hangs on a table, also on its leaves', async () => {
    await database.query(`
      CREATE TABLE zoo.refs (d date, region text, id bigint, CONSTRAINT to_deep FOREIGN KEY (d, region, id) REFERENCES zoo.deep);
      CREATE VIEW zoo.of_leaf AS SELECT id FROM zoo.deep_2023;
      CREATE VIEW zoo.of_root AS SELECT id FROM zoo.deep;
      CREATE PUBLICATION leaf_pub FOR TABLE zoo.deep_2023;
      CREATE RULE quiet AS ON DELETE TO zoo.deep_default DO INSTEAD NOTHING`);
    expect((await find('deep')).hanging).toEqual({
      referencedBy: ['to_deep on zoo.refs'],
      views: ['zoo.of_leaf'],
      publications: ['leaf_pub'],
      other: ['rule quiet on zoo.deep_default'],
    });
    expect((await find('deep_2023')).hanging.referencedBy).toHaveLength(1);
    expect((await find('dropped')).hanging).toEqual({
      referencedBy: [],
      views: [],
      publications: [],
      other: [],
    });
    await database.query('CREATE UNLOGGED TABLE zoo.light (x int)');
    expect((await find('light')).hanging.other).toEqual(['zoo.light is unlogged']);
    await database.query('DROP TABLE zoo.light');
    await database.query('DROP PUBLICATION leaf_pub; CREATE PUBLICATION every FOR ALL TABLES');
    expect((await find('dropped')).hanging.publications).toEqual(['every']);
    await database.query(
      'DROP PUBLICATION every; DROP TABLE zoo.refs; DROP VIEW zoo.of_leaf; DROP VIEW zoo.of_root',
    );
  });

  it('answers null for a name that is not there, in the order asked', async () => {
    const found = await createTableReader(sessions, 'zoo').find([
      { schema: 'zoo', name: 'NOTHING' },
      { schema: 'zoo', name: 'nothing' },
    ]);
    expect(found.map((table) => table?.name.name ?? null)).toEqual([null, 'nothing']);
  });
});

describe('what a role needs', () => {
  let database: TestDatabase;
  let limited: Sessions;
  const role = `limited_${process.pid}_${Date.now()}`;

  beforeAll(async () => {
    database = await createDatabase(18);
    await database.query(`
      CREATE ROLE ${role} LOGIN PASSWORD 'limited'; CREATE SCHEMA s; CREATE SCHEMA hidden;
      CREATE TABLE s.bare (x int); CREATE TABLE hidden.t (x int); CREATE TABLE s.policed (x int);
      CREATE TABLE s.parted (x int) PARTITION BY LIST (x); CREATE TABLE s.parted_1 PARTITION OF s.parted FOR VALUES IN (1);
      ALTER TABLE s.policed ENABLE ROW LEVEL SECURITY;
      GRANT USAGE ON SCHEMA s TO ${role}; GRANT SELECT ON s.policed, s.parted TO ${role}`);
    const url = new URL(database.url);
    url.username = role;
    url.password = 'limited';
    limited = openSessions(database, url.href);
  });
  afterAll(async () => {
    await limited.close();
    await database.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    await database.drop();
  });

  const check = async (side: 'source' | 'target', ...names: string[]): Promise<string[]> => {
    const tables = names.map((name) => ({
      schema: name.split('.')[0] ?? '',
      name: name.split('.')[1] ?? '',
    }));
    const findings = await createTableReader(limited, 'zoo').preflight(side, tables);
    return findings.map(
      ({ severity, code, message }) => `${severity} ${code ?? ''} ${message.replaceAll(role, 'R')}`,
    );
  };

  it('to read is named by table and right, on leaves too, and a row policy is an error', async () => {
    expect(await check('source', 's.bare', 'hidden.t', 's.policed', 's.parted')).toEqual([
      'error store.permission Role R lacks USAGE on its schema on hidden.t.',
      'error store.permission Role R lacks SELECT on s.bare, s.parted_1.',
      'error source.rowSecurity A row policy of s.policed hides rows from role R.',
    ]);
  });

  it('to write is named by right, and the ledger and new tables need rights of their own', async () => {
    const said = await check('target', 's.policed', 's.new', 'fresh.new');
    expect(said).toContain(
      'error store.permission Role R may not keep the ledger in schema syncline of store zoo.',
    );
    expect(said).toContain('error store.permission Role R lacks INSERT on s.policed.');
    expect(said.filter((text) => text.includes('may not create tables'))).toHaveLength(2);
    expect(said.some((text) => text.startsWith('info') && text.includes('session_replication_role'))).toBe(
      true,
    );
  });

  it('has nothing to say to a superuser', async () => {
    const sessions = openSessions(database);
    const reader = createTableReader(sessions, 'zoo');
    const names = [{ schema: 's', name: 'policed' }];
    expect(await reader.preflight('source', names)).toEqual([]);
    expect(await reader.preflight('target', names)).toEqual([]);
    await sessions.close();
  });
});
