import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Sessions } from '../../../../stores/postgres/connection.ts';
import { followLimits } from '../../../../stores/postgres/log/follow.ts';
import { createLogSource } from '../../../../stores/postgres/log/log-source.ts';
import type { LogChange, LogSource, PublishedTable } from '../../../../stores/spi/log.ts';
import { createDatabase, type TestDatabase } from '../../../support/postgres.ts';
import { beginning, following, newAddress, readUntil, tables, told, valuesOf } from './followed.ts';

const ways = { stream: Infinity, pull: 1 } as const;

describe.each([18, 15] as const)('what the log says, on PostgreSQL %i', (version) => {
  let database: TestDatabase;
  let sessions: Sessions;

  beforeAll(async () => {
    database = await createDatabase(version);
    sessions = new Sessions('source', {
      kind: 'postgres',
      url: database.url,
      connections: 6,
      connectTimeoutMs: 10_000,
    });
  });
  afterAll(async () => {
    await sessions.close();
    await database.drop();
  });

  describe.each(['stream', 'pull'] as const)('by %s', (way) => {
    const source = (): LogSource =>
      createLogSource(sessions, { ...followLimits, pullFromBytes: ways[way], fallBackBytes: Infinity });

    /** Makes tables, begins, writes, and answers what the log says of it. */
    async function logOf(log: Logged): Promise<readonly LogChange[]> {
      await database.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public');
      await database.query(log.tables);
      const address = newAddress();
      const begun = await source().begin(beginning(address, log.published ?? tables('t')));
      for (const statement of log.writes) await database.query(statement);
      await database.query(`INSERT INTO t (id) VALUES (-1)`);
      const reading = await source().follow(
        following(address, begun.position, { binary: log.binary ?? false }),
      );
      const changes: LogChange[] = [];
      await readUntil(reading, (piece) => {
        changes.push(...piece.changes);
        const last = piece.changes.at(-1);
        return last?.kind === 'insert' && ['-1', '\\xffffffff'].includes(valuesOf(last.new)?.[0] ?? '');
      });
      await reading.close();
      await source().end(address);
      return changes.slice(0, -1);
    }

    const toldOf = async (log: Logged): Promise<readonly string[]> => (await logOf(log)).map(told);

    it('names the leaf, also of partitions made later, and says nothing of rows that were attached', async () => {
      expect(
        await toldOf({
          tables: `CREATE TABLE t (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
            CREATE TABLE t0 PARTITION OF t FOR VALUES FROM (-10) TO (10);
            CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (10) TO (20);
            CREATE TABLE filled (id int PRIMARY KEY, v text); INSERT INTO filled VALUES (25, 'old')`,
          writes: [
            `INSERT INTO t VALUES (1, 'a'), (11, 'b')`,
            `UPDATE t SET id = 12 WHERE id = 1`,
            `CREATE TABLE t3 PARTITION OF t FOR VALUES FROM (30) TO (40)`,
            `INSERT INTO t VALUES (31, 'new')`,
            `INSERT INTO filled VALUES (26, 'unseen')`,
            `ALTER TABLE t ATTACH PARTITION filled FOR VALUES FROM (20) TO (30)`,
            `UPDATE t SET v = 'seen' WHERE id = 25`,
            `ALTER TABLE t DETACH PARTITION t1`,
            `INSERT INTO t1 VALUES (19, 'gone')`,
          ],
        }),
      ).toEqual([
        'insert t0 1,a',
        'insert t1 11,b',
        'delete t0 1,-',
        'insert t1 12,a',
        'insert t3 31,new',
        'update filled 25,seen',
      ]);
    });

    it('holds whole old rows of a table with replica identity full, and no large value that did not change', async () => {
      const large = 'x'.repeat(3000);
      const changes = await toldOf({
        tables: `CREATE TABLE t (id int PRIMARY KEY, v text, big text); ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
          CREATE TABLE f (id int, v text, big text); ALTER TABLE f ALTER big SET STORAGE EXTERNAL;
          ALTER TABLE f REPLICA IDENTITY FULL;
          INSERT INTO t VALUES (1, 'a', repeat('x', 3000)); INSERT INTO f SELECT * FROM t`,
        published: tables('t', 'f'),
        writes: [
          `UPDATE t SET v = 'b'`,
          `UPDATE t SET id = 2`,
          `UPDATE f SET v = 'b'`,
          `DELETE FROM f`,
          `DELETE FROM t`,
        ],
      });
      expect(changes).toEqual([
        'update t 1,b,~',
        'update t 1,-,- -> 2,b,~',
        `update f 1,a,${large} -> 1,b,~`,
        `delete f 1,b,${large}`,
        'delete t 2,-,-',
      ]);
    });

    it('tells each table of those that were emptied together, in its place', async () => {
      expect(
        await toldOf({
          tables: `CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY);
            CREATE TABLE w (id int REFERENCES t); ALTER TABLE w ADD PRIMARY KEY (id);
            CREATE TABLE other (id int REFERENCES t)`,
          published: tables('t', 'u', 'w'),
          writes: [
            'INSERT INTO t VALUES (1); INSERT INTO w VALUES (1)',
            'BEGIN; INSERT INTO u VALUES (1); TRUNCATE t, u CASCADE; INSERT INTO t VALUES (2); COMMIT',
          ],
        }),
      ).toEqual([
        'insert t 1',
        'insert w 1',
        'insert u 1',
        'truncate t',
        'truncate u',
        'truncate w',
        'insert t 2',
      ]);
    });

    it('carries only inserts and truncates of a table that is published so', async () => {
      const published: readonly PublishedTable[] = [
        { table: { schema: 'public', name: 'k' }, insertsOnly: true },
        ...tables('t'),
      ];
      expect(
        await toldOf({
          tables: 'CREATE TABLE k (id int); CREATE TABLE t (id int PRIMARY KEY)',
          published,
          writes: ['INSERT INTO k VALUES (1)', 'UPDATE k SET id = 2', 'DELETE FROM k', 'TRUNCATE k'],
        }),
      ).toEqual(['insert k 1', 'truncate k']);
    });

    it('describes a table again when it has changed, and else by the same object', async () => {
      const changes = await logOf({
        tables: `CREATE DOMAIN small AS int; CREATE TABLE t (id small PRIMARY KEY, n numeric(5, 2), g int GENERATED ALWAYS AS (1) STORED)`,
        writes: [
          'INSERT INTO t VALUES (1, 1.5)',
          'INSERT INTO t VALUES (2, 1.5)',
          `BEGIN; INSERT INTO t VALUES (3, 2); ALTER TABLE t ADD v text DEFAULT 'd'; INSERT INTO t VALUES (4, 3); COMMIT`,
          'ALTER TABLE t ALTER n TYPE numeric(7, 3)',
          'INSERT INTO t VALUES (5, 4)',
          'ALTER TABLE t REPLICA IDENTITY NOTHING; ALTER TABLE t ALTER id TYPE bigint; INSERT INTO t (id) VALUES (6)',
        ],
      });
      expect(changes.map(told)).toEqual([
        'insert t 1,1.50',
        'insert t 2,1.50',
        'insert t 3,2.00',
        'insert t 4,3.00,d',
        'insert t 5,4.000,d',
        'insert t 6,-,d',
      ]);
      const relations = changes.map((change) => change.relation);
      expect(relations[1]).toBe(relations[0]);
      expect(relations[2]).toBe(relations[0]);
      expect(relations[0]).toEqual({
        name: { schema: 'public', name: 't' },
        identity: 'key',
        columns: [
          { name: 'id', typeId: 23, typeModifier: -1, isKey: true },
          { name: 'n', typeId: 1700, typeModifier: expect.any(Number) as number, isKey: false },
        ],
      });
      expect(relations[3]?.columns.map(({ name }) => name)).toEqual(['id', 'n', 'v']);
      expect(relations[4]?.columns[1]?.typeModifier).not.toBe(relations[3]?.columns[1]?.typeModifier);
      expect(relations[5]).toMatchObject({
        identity: 'none',
        columns: [{ typeId: 20, isKey: false }, {}, {}],
      });
    });

    it('gives values in binary where their type has such a form', async () => {
      const changes = await logOf({
        tables: `CREATE TABLE t (id int PRIMARY KEY, a aclitem, b bigint, x xml, j jsonb)`,
        writes: [`INSERT INTO t VALUES (1, 'postgres=r/postgres', 7, NULL, '{"k": 1}')`],
        binary: true,
      });
      const [row] = changes;
      const values = row?.kind === 'insert' ? valuesOf(row.new) : null;
      expect(values?.[0]).toBe('\\x00000001');
      expect(values?.[1]).toBe('postgres=r/postgres');
      expect(values?.[2]).toBe('\\x0000000000000007');
      expect(values?.[3]).toBeNull();
      expect(values?.[4]).toBe(`\\x01${Buffer.from('{"k": 1}').toString('hex')}`);
    });

    it('brings a prepared transaction when it is committed, under the id that it was prepared with', async () => {
      await database.query(
        'DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE t (id int PRIMARY KEY)',
      );
      const address = newAddress();
      const begun = await source().begin(beginning(address, tables('t')));
      const client = await database.connect();
      await client.query('BEGIN');
      const { rows } = await client.query<{ xid: string }>('SELECT pg_current_xact_id()::text AS xid');
      await client.query(`INSERT INTO t VALUES (1); PREPARE TRANSACTION '${address.slot}'`);
      await database.query('INSERT INTO t VALUES (2)');
      await client.query(`COMMIT PREPARED '${address.slot}'`);
      const before = Date.now();
      const reading = await source().follow(following(address, begun.position));
      const changes: LogChange[] = [];
      await readUntil(reading, (piece) => {
        changes.push(...piece.changes);
        return changes.length === 2;
      });
      await reading.close();
      await source().end(address);
      expect(changes.map(told)).toEqual(['insert t 2', 'insert t 1']);
      expect(changes[1]?.transaction.xid).toBe(Number(BigInt(rows[0]?.xid ?? '0') & 0xffff_ffffn));
      const committedAtMs = changes[1]?.transaction.committedAtMs ?? 0;
      expect(Math.abs(committedAtMs - before)).toBeLessThan(3_600_000);
    });
  });
});

interface Logged {
  readonly tables: string;
  readonly published?: readonly PublishedTable[];
  readonly writes: readonly string[];
  readonly binary?: boolean;
}
