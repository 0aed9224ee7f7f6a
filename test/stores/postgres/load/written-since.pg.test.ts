import { afterAll, beforeAll, expect, it } from 'vitest';
import { writtenSince } from '../../../../stores/postgres/load/snapshots.ts';
import { createDatabase, type TestDatabase } from '../../../support/postgres.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

const wrap = 2n ** 32n;

it.each([
  [100n, 200n],
  [wrap - 50n, wrap + 50n],
  [7n * wrap - 1n, 7n * wrap + 2_000_000_000n],
  [3n * wrap + 2_147_483_000n, 3n * wrap + 2_147_484_000n],
  [5n * wrap, 5n * wrap + 1n],
  [wrap - 1n, wrap],
])(
  'rows written from transaction %s up to %s are told apart from older ones by 32 bits',
  async (from, to) => {
    const written = writtenSince(
      { xmin: to, xmax: to, running: new Set() },
      { xmin: from, xmax: from, running: new Set() },
    );
    const old = [from - 1n, from - 2n, from - 60n, from - 2_000_000_000n].filter((xid) => xid > 2n);
    const since = [from, to - 1n, (from + to) / 2n];
    const told = await database.query<{ new: boolean }>(
      `SELECT ${written ?? ''} AS new FROM unnest($1::text[]) WITH ORDINALITY AS x(raw, n),
       LATERAL (SELECT raw::xid AS xmin) AS row ORDER BY n`,
      [[...old, ...since].map((xid) => String(xid % wrap))],
    );
    expect(told.map((row) => row.new)).toEqual([...old.map(() => false), ...since.map(() => true)]);
  },
);
