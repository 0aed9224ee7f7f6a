import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Sessions } from '../../../../stores/postgres/connection.ts';
import { addDigests, digestExpression } from '../../../../stores/postgres/load/digest.ts';
import { createDatabase, type TestDatabase } from '../../../support/postgres.ts';
import { openSessions } from '../catalog/zoo.ts';

/** Type and two values that some comparison of the server, or some hash, takes for one. */
const alikes: readonly (readonly [type: string, one: string, other: string])[] = [
  ['bigint', '-1', '4294967295'],
  ['bigint', '0', '4294967297'],
  ['int', '0', '1'],
  ['numeric', '1.0', '1.00'],
  ['numeric', '0', '-0.0'],
  ['numeric', 'NaN', 'Infinity'],
  ['float8', '0', '-0'],
  ['float8', 'NaN', 'Infinity'],
  ['real', '0.1', '0.10000001'],
  ['interval', '1 mon', '30 days'],
  ['interval', '1 day', '24:00:00'],
  ['jsonb', '{"a":1.0}', '{"a":1.00}'],
  ['json', '{"a":1}', '{"a": 1}'],
  ['text', 'a', 'a '],
  ['varchar(5)', 'a', 'a  '],
  ['text COLLATE public.blind', 'Äa', 'äa'],
  ['public.citext', 'Hello', 'hello'],
  ['timetz', '12:00+00', '13:00+01'],
  ['date', 'infinity', '-infinity'],
  ['timestamptz', '2024-01-01 00:00:00+00', '2024-01-01 00:00:00.000001+00'],
  ['bytea', '\\x00', '\\x0000'],
  ['bit(3)', '101', '100'],
  ['varbit', '1', '10'],
  ['money', '1.00', '1.01'],
  ['uuid', '00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000001'],
  ['inet', '10.0.0.1/8', '10.0.0.1/16'],
  ['point', '(0,1)', '(-0,1)'],
  ['box', '(1,1),(0,0)', '(2,2),(0,0)'],
  ['tsvector', 'a:1', 'a:1A'],
  ['tsquery', 'a & b', 'a | b'],
  ['xml', '<a/>', '<a></a>'],
  ['"char"', 'a', 'b'],
  ['public.mood', 'sad', 'glad'],
  ['public.mood[]', '{sad}', '{glad}'],
  ['int[]', '{1,2}', '[0:1]={1,2}'],
  ['float8[]', '{0}', '{-0}'],
  ['int4range', '[1,2)', '[1,3)'],
  ['numrange', '[1.0,2)', '[1.00,2)'],
  ['int4multirange', '{[1,2)}', '{[1,3)}'],
  ['public.pair', '(1,0)', '(1,-0)'],
  ['public.small', '1.0', '1.00'],
  ['regclass', 'pg_class', 'pg_type'],
  ['hstore', 'a=>1', 'a=>NULL'],
  ['pg_lsn', '0/1', '1/0'],
  ['jsonpath', '$.a', '$.b'],
];

describe.each([18, 15] as const)('the digest on PostgreSQL %i', (version) => {
  let database: TestDatabase;
  let sessions: Sessions;

  beforeAll(async () => {
    database = await createDatabase(version);
    sessions = openSessions(database);
    // The labels are made in another order on the other version, behind types that move the OIDs.
    await database.query(`CREATE EXTENSION citext; CREATE EXTENSION hstore SCHEMA pg_catalog;
      CREATE TYPE padding AS (a int);`);
    if (version === 15) await database.query('CREATE TYPE more_padding AS (a int)');
    await database.query(`CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE TYPE pair AS (n int, f float8);
      CREATE DOMAIN small AS numeric; CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level1', deterministic = false)`);
  });
  afterAll(async () => {
    await sessions.close();
    await database.drop();
  });

  const digestOf = async (
    name: string,
    columns: readonly string[],
    retyped: readonly string[] = [],
  ): Promise<string> =>
    await sessions.use('digest', async (session) => {
      const expression = await digestExpression(
        session,
        { schema: 'public', name },
        { all: columns, retyped },
      );
      const [row] = await session.query<{ digest: string }>(
        `SELECT ${expression} AS digest FROM public."${name}"`,
      );
      return row?.digest ?? '';
    });

  it('differs for values that only look or only compare the same', async () => {
    const missed: string[] = [];
    for (const [type, one, other] of alikes) {
      await database.query(`CREATE TABLE value (id int, v ${type})`);
      await database.query('INSERT INTO value VALUES (1, NULL), (2, $1)', [one]);
      const before = await digestOf('value', ['id', 'v']);
      await database.query(`UPDATE value SET v = $1 WHERE id = 2`, [other]);
      const after = await digestOf('value', ['id', 'v']);
      await database.query('UPDATE value SET v = NULL WHERE id = 2');
      const nothing = await digestOf('value', ['id', 'v']);
      await database.query(`UPDATE value SET v = $1 WHERE id = 2`, [one]);
      if (new Set([before, after, nothing]).size !== 3) missed.push(`${type}: ${one}, ${other}`);
      expect(await digestOf('value', ['id', 'v']), type).toBe(before);
      await database.query('DROP TABLE value');
    }
    expect(missed).toEqual([]);
  });

  it('differs when two rows exchange a value, whatever the type', async () => {
    await database.query(
      `CREATE TABLE exchanged AS SELECT i AS a, i::bigint * 1000 AS b, md5(i::text) AS c, i::numeric AS d, i::float8 AS e, now() + i * interval '1 h' AS f
         FROM generate_series(1, 40) i`,
    );
    const columns = ['a', 'b', 'c', 'd', 'e', 'f'];
    const digests = new Set([await digestOf('exchanged', columns)]);
    for (const column of columns) {
      for (let i = 1; i < 40; i += 8) {
        const exchange = `UPDATE exchanged t SET ${column} = o.${column} FROM exchanged o
           WHERE t.ctid <> o.ctid AND t.c IN (md5('${String(i)}'), md5('${String(i + 1)}')) AND o.c IN (md5('${String(i)}'), md5('${String(i + 1)}'))`;
        const client = await database.connect();
        await client.query('BEGIN');
        await client.query(exchange);
        const expression = await sessions.use('d', (session) =>
          digestExpression(session, { schema: 'public', name: 'exchanged' }, { all: columns, retyped: [] }),
        );
        const found = await client.query<{ digest: string }>(`SELECT ${expression} AS digest FROM exchanged`);
        digests.add(found.rows[0]?.digest ?? '');
        await client.query('ROLLBACK');
        await client.end();
      }
    }
    expect(digests.size).toBe(1 + columns.length * 5);
  });

  it('does not let equal rows cancel each other, and ignores their order', async () => {
    await database.query(`CREATE TABLE twice (a int, b text); INSERT INTO twice VALUES (1, 'x'), (2, 'y')`);
    const once = await digestOf('twice', ['a', 'b']);
    await database.query(`INSERT INTO twice VALUES (1, 'x'), (1, 'x')`);
    expect(await digestOf('twice', ['a', 'b'])).not.toBe(once);
    await database.query(`TRUNCATE twice; INSERT INTO twice VALUES (2, 'y'), (1, 'x')`);
    expect(await digestOf('twice', ['a', 'b'])).toBe(once);
  });

  it('of parts adds up to the digest of the whole', async () => {
    await database.query('CREATE TABLE whole AS SELECT i, md5(i::text) AS t FROM generate_series(1, 100) i');
    await database.query(
      'CREATE TABLE low AS SELECT * FROM whole WHERE i < 30; CREATE TABLE high AS SELECT * FROM whole WHERE i >= 30',
    );
    const parts = [await digestOf('low', ['i', 't']), await digestOf('high', ['i', 't'])];
    expect(addDigests(parts)).toBe(await digestOf('whole', ['i', 't']));
    await database.query('TRUNCATE low');
    expect(addDigests([await digestOf('low', ['i', 't'])])).toBe(await digestOf('low', ['i', 't']));
  });

  it('takes tables as wide as the server has them, of no columns and of long values', async () => {
    await database.query(
      `CREATE TABLE wide (${Array.from({ length: 1500 }, (_, i) => `c${String(i)} bigint`).join(', ')})`,
    );
    await database.query('INSERT INTO wide (c0, c1499) VALUES (1, -1)');
    const columns = Array.from({ length: 1500 }, (_, i) => `c${String(i)}`);
    const before = await digestOf('wide', columns);
    await database.query('UPDATE wide SET c1499 = 4294967295');
    expect(await digestOf('wide', columns)).not.toBe(before);
    await database.query('CREATE TABLE bare (); INSERT INTO bare DEFAULT VALUES');
    expect(await digestOf('bare', [])).toBe('1');
  });
});
