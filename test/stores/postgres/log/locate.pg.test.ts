import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KeyRange } from '../../../../stores/spi/chunk-source.ts';
import type { LogRelation, RowChange } from '../../../../stores/spi/log.ts';
import {
  beginning,
  createLogged,
  following,
  type LoggedSource,
  newAddress,
  readUntil,
  tables,
} from './followed.ts';

/** Values whose order is easily got wrong; each list in any order. */
const keys: Readonly<Record<string, readonly string[]>> = {
  smallint: ['-32768', '-1', '0', '1', '32767'],
  integer: ['-2147483648', '-10', '-9', '0', '9', '10', '2147483647'],
  bigint: ['-9223372036854775808', '-1', '0', '4294967296', '9007199254740993', '9223372036854775807'],
  oid: ['0', '1', '2147483648', '4294967295'],
  uuid: [
    '00000000-0000-0000-0000-000000000000',
    '7fffffff-ffff-ffff-ffff-ffffffffffff',
    '80000000-0000-0000-0000-000000000000',
    'ffffffff-ffff-ffff-ffff-ffffffffffff',
  ],
  boolean: ['true', 'false'],
  date: [
    '-infinity',
    '4713-01-01 BC',
    '0001-12-31 BC',
    '0001-01-01',
    '1999-12-31',
    '2000-02-29',
    '12000-03-01',
    'infinity',
  ],
  time: ['00:00:00', '12:30:00.000001', '12:30:00', '24:00:00'],
  timestamp: [
    '-infinity',
    '4713-01-02 10:00:00 BC',
    '1969-12-31 23:59:59.999999',
    '1999-12-31 23:59:59.5',
    '2000-01-01 00:00:00',
    '2024-02-29 12:00:00.000001',
    '294000-01-01 00:00:00',
    'infinity',
  ],
  timestamptz: [
    '-infinity',
    '0044-03-15 12:00:00+00 BC',
    '1883-11-18 12:03:57-04:56:02',
    '2024-10-27 02:30:00+02',
    '2024-10-27 02:30:00+01',
    '2024-10-27 02:30:00.25-07',
    'infinity',
  ],
  bytea: ['\\x', '\\x00', '\\x0000', '\\x7f', '\\x80', '\\xff', '\\xff00'],
  'text COLLATE "C"': ['', ' ', 'A', 'Z', 'a', 'a ', 'aa', 'ä', 'z', '~', '\u{10000}', '\u{ffee}'],
  'varchar(10) COLLATE "C"': ['b', 'B', 'bé', 'bz'],
  name: ['_', 'a', 'A'],
  small: ['-5', '0', '20'],
};

describe.each([18, 15] as const)('the slice of a changed row, on PostgreSQL %i', (version) => {
  let source: LoggedSource;

  beforeAll(async () => {
    source = await createLogged(version);
    await source.database.query('CREATE DOMAIN small AS integer CHECK (VALUE < 100)');
  });
  afterAll(async () => {
    await source.drop();
  });

  it.each([
    [false, 'text'],
    [true, 'binary'],
  ])('is the one that the server would put it in, for every type (binary %s)', async (binary) => {
    const { database, log } = source;
    const types = Object.keys(keys);
    for (const [index, type] of types.entries())
      await database.query(
        `DROP TABLE IF EXISTS k${index}; CREATE TABLE k${index} (note text, k ${type} PRIMARY KEY)`,
      );
    const address = newAddress();
    const begun = await log.begin(beginning(address, tables(...types.map((_type, index) => `k${index}`))));
    for (const [index, type] of types.entries())
      await database.query(`INSERT INTO k${index} SELECT 'n', v::${type} FROM unnest($1::text[]) v`, [
        keys[type],
      ]);
    const reading = await log.follow(following(address, begun.position, { binary }));
    const changes: RowChange[] = [];
    await readUntil(reading, (piece) => {
      changes.push(...(piece.changes as readonly RowChange[]));
      return changes.length === Object.values(keys).flat().length;
    });
    await reading.close();
    await log.end(address);
    for (const [index, type] of types.entries()) {
      const ofType = changes.filter((change) => change.relation.name.name === `k${index}`);
      const sorted = await database.query<{ bound: string; given: string }>(
        `SELECT v::${type}::text AS bound, n AS given FROM unnest($1::text[]) WITH ORDINALITY AS u(v, n) ORDER BY v::${type}`,
        [keys[type]],
      );
      const bounds = sorted.slice(1).map((row) => [row.bound]);
      const ends = [null, ...bounds, null];
      const ranges: KeyRange[] = ends
        .slice(0, -1)
        .map((from, at) => ({ columns: ['k'], from, to: ends[at + 1] ?? null }));
      const relation = ofType[0]?.relation as LogRelation;
      const locate = log.locate(relation, ranges);
      const found = ofType.map((change) => (change.new === null ? -2 : locate?.(change.new)));
      const expected = ofType.map((_change, at) => sorted.findIndex((row) => Number(row.given) === at + 1));
      expect(found, type).toEqual(expected);
    }
  });

  it('is not told where only the server can compare, nor of a row without its key', () => {
    const { log } = source;
    const column = { name: 'k', typeId: 1700, typeModifier: -1, isKey: true };
    const relation: LogRelation = {
      name: { schema: 'public', name: 't' },
      columns: [column],
      identity: 'key',
    };
    const ranges = [
      { columns: ['k'], from: null, to: ['5'] },
      { columns: ['k'], from: ['5'], to: null },
    ];
    expect(log.locate(relation, ranges)).toBeNull();
    expect(
      log.locate({ ...relation, columns: [{ ...column, typeId: 23 }] }, [
        { ...ranges[0], from: null, to: null, columns: ['k'] },
        { columns: ['k'], from: ['x'], to: null },
      ]),
    ).toBeNull();
    const locate = log.locate({ ...relation, columns: [{ ...column, typeId: 23 }] }, ranges);
    expect(locate?.(Buffer.from([0, 1, 0x6e]))).toBe(-1);
    expect(locate?.(Buffer.from([0, 1, 0x62, 0, 0, 0, 4, 0, 0, 0, 5]))).toBe(1);
    expect(log.locate(relation, [null])?.(Buffer.from([0, 1, 0x6e]))).toBe(0);
  });

  it('is told of keys of several columns, compared as rows', () => {
    const { log } = source;
    const relation: LogRelation = {
      name: { schema: 'public', name: 't' },
      columns: ['b', 'v', 'a'].map((name) => ({ name, typeId: 23, typeModifier: -1, isKey: true })),
      identity: 'key',
    };
    const image = (b: number, a: number): Buffer => {
      const bytes = Buffer.alloc(21);
      bytes.writeUInt16BE(3, 0);
      bytes.write('b', 2);
      bytes.writeUInt32BE(4, 3);
      bytes.writeInt32BE(b, 7);
      bytes.write('n', 11);
      bytes.write('b', 12);
      bytes.writeUInt32BE(4, 13);
      bytes.writeInt32BE(a, 17);
      return bytes;
    };
    const columns = ['a', 'b'];
    const ranges = [
      { columns, from: null, to: ['1', '5'] },
      { columns, from: ['1', '5'], to: ['2', '0'] },
      { columns, from: ['2', '0'], to: null },
    ];
    const locate = log.locate(relation, ranges);
    const keysOf: readonly [number, number][] = [
      [1, 4],
      [1, 5],
      [0, 99],
      [1, 99],
      [2, -1],
      [2, 0],
      [3, -9],
    ];
    expect(keysOf.map(([a, b]) => locate?.(image(b, a)))).toEqual([0, 1, 0, 1, 1, 2, 2]);
  });
});
