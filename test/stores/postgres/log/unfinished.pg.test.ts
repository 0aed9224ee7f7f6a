import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { Sessions } from '../../../../stores/postgres/connection.ts';
import { followLimits } from '../../../../stores/postgres/log/follow.ts';
import { createLogSource } from '../../../../stores/postgres/log/log-source.ts';
import type { LinkAddress, LogChange, LogPiece, LogSource } from '../../../../stores/spi/log.ts';
import { eventually } from '../../../support/eventually.ts';
import { createDatabase, type TestDatabase } from '../../../support/postgres.ts';
import { beginning, following, newAddress, readUntil, tables, told } from './followed.ts';

/** Transactions that the server sends before they end, because they are larger than it wants to hold. */
describe.each([18, 15] as const)('big transactions of a stream, on PostgreSQL %i', (version) => {
  let database: TestDatabase;
  let sessions: Sessions;
  let log: LogSource;
  let address: LinkAddress;

  beforeAll(async () => {
    database = await createDatabase(version);
    await database.query(`ALTER DATABASE ${database.name} SET logical_decoding_work_mem = '64kB'`);
    sessions = new Sessions('source', {
      kind: 'postgres',
      url: database.url,
      connections: 6,
      connectTimeoutMs: 10_000,
    });
    log = createLogSource(sessions, { ...followLimits, pullFromBytes: Infinity, fallBackBytes: Infinity });
  });
  afterAll(async () => {
    await sessions.close();
    await database.drop();
  });
  beforeEach(async () => {
    address = newAddress();
    await database.query(`DROP SCHEMA public CASCADE; CREATE SCHEMA public;
      CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (id int PRIMARY KEY, v text)`);
  });
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  const fill = (from: number, to: number, table = 't'): string =>
    `INSERT INTO ${table} (id, v) SELECT i, 'some words to fill a row' FROM generate_series(${from}, ${to}) i`;
  const streamed = async (): Promise<{ streamed: number; spilled: number }> => {
    const [stats] = await database.query<{ streamed: string; spilled: string }>(
      'SELECT stream_txns AS streamed, spill_txns AS spilled FROM pg_stat_replication_slots WHERE slot_name = $1',
      [address.slot],
    );
    return { streamed: Number(stats?.streamed), spilled: Number(stats?.spilled) };
  };

  /** Pieces until the row -1 of table u has come. */
  async function readAll(from: string): Promise<readonly LogPiece[]> {
    await database.query(`INSERT INTO u VALUES (-1)`);
    const reading = await log.follow(following(address, from, { pieceChanges: 500 }));
    const pieces = await readUntil(reading, (piece) =>
      piece.changes.some((change) => told(change) === 'insert u -1,-'),
    );
    await reading.close();
    return pieces;
  }

  const ids = (changes: readonly LogChange[]): readonly number[] =>
    changes.map((change) => Number(/ (-?\d+)/.exec(told(change))?.[1]));
  const range = (from: number, to: number): number[] =>
    Array.from({ length: to - from + 1 }, (_each, index) => from + index);

  it('come when they commit, in parts of which only the last has a position, without what was rolled back', async () => {
    const { position } = await log.begin(beginning(address, tables('t', 'u')));
    const client = await database.connect();
    await client.query('BEGIN');
    await client.query(fill(1, 2000));
    await client.query('SAVEPOINT a');
    await client.query(fill(2001, 4000));
    await client.query('SAVEPOINT b');
    await client.query(fill(4001, 6000));
    await client.query('ROLLBACK TO b');
    await client.query(fill(6001, 8000));
    await client.query('RELEASE a');
    await client.query('SAVEPOINT c');
    await client.query(fill(8001, 10000));
    await client.query('SAVEPOINT d');
    await client.query(fill(10001, 12000));
    await client.query('RELEASE d');
    await client.query('ROLLBACK TO c');
    await database.query(`INSERT INTO u VALUES (1)`);
    await client.query(fill(12001, 14000));
    await client.query('COMMIT');
    const pieces = await readAll(position);
    const changes = pieces.flatMap((piece) => piece.changes);
    expect(ids(changes)).toEqual([1, ...range(1, 4000), ...range(6001, 8000), ...range(12001, 14000), -1]);
    const [, ...big] = changes;
    expect(new Set(big.slice(0, -1).map((change) => change.transaction)).size).toBe(1);
    expect(pieces.filter((piece) => piece.position === null).length).toBeGreaterThan(10);
    expect(pieces.reduce((sum, piece) => sum + piece.transactions, 0)).toBe(3);
    expect(Math.max(...pieces.map((piece) => piece.changes.length))).toBe(500);
    // The server keeps them in pieces of its own where it does not stream.
    await eventually(async () => (await streamed()).streamed > 0);
    await log.end(address);
  });

  it('that are rolled back leave nothing, neither changes nor files', async () => {
    const { position } = await log.begin(beginning(address, tables('t', 'u')));
    const place = await mkdtemp(join(tmpdir(), 'syncline-place-'));
    vi.stubEnv('TMPDIR', place);
    const client = await database.connect();
    for (let turn = 0; turn < 3; turn += 1) {
      await client.query('BEGIN');
      await client.query(fill(1, 60000));
      await client.query('ROLLBACK');
    }
    const pieces = await readAll(position);
    expect(pieces.flatMap((piece) => piece.changes.map(told))).toEqual(['insert u -1,-']);
    expect(await readdir(place)).toEqual([]);
    await rm(place, { recursive: true });
    await log.end(address);
  });

  it('are right although a table was rewritten in a savepoint and is as it was', async () => {
    const { position } = await log.begin(beginning(address, tables('t', 'u')));
    const client = await database.connect();
    await client.query(`BEGIN; ${fill(1, 100)}; SAVEPOINT a; ALTER TABLE t ALTER v TYPE varchar(100)`);
    await client.query(fill(101, 3000));
    await client.query('ROLLBACK TO a');
    await client.query(fill(101, 6000));
    await client.query('COMMIT');
    const changes = (await readAll(position)).flatMap((piece) => piece.changes);
    expect(ids(changes)).toEqual([...range(1, 6000), -1]);
    await log.end(address);
  });

  it('go side by side, each by its own end', async () => {
    const { position } = await log.begin(beginning(address, tables('t', 'u')));
    const [one, other] = [await database.connect(), await database.connect()];
    await one.query('BEGIN');
    await other.query('BEGIN');
    for (let part = 0; part < 6; part += 1) {
      await one.query(fill(part * 1000 + 1, part * 1000 + 1000));
      await other.query(fill(part * 1000 + 1, part * 1000 + 1000, 'u'));
    }
    await other.query('COMMIT');
    await one.query('COMMIT');
    const changes = (await readAll(position)).flatMap((piece) => piece.changes);
    expect(changes.map((change) => change.relation.name.name).join('')).toMatch(/^u{6000}t{6000}u$/);
    expect(ids(changes)).toEqual([...range(1, 6000), ...range(1, 6000), -1]);
    await log.end(address);
  });

  it('stay with the server where this machine has no place for files', async () => {
    const { position } = await log.begin(beginning(address, tables('t', 'u')));
    vi.stubEnv('TMPDIR', '/nowhere/at/all');
    await database.query(fill(1, 5000));
    const changes = (await readAll(position)).flatMap((piece) => piece.changes);
    expect(ids(changes)).toEqual([...range(1, 5000), -1]);
    await eventually(async () => (await streamed()).spilled > 0);
    expect((await streamed()).streamed).toBe(0);
    await log.end(address);
  });

  it('go back to the server when the place for files is used up on the way', async () => {
    const { position } = await log.begin(beginning(address, tables('t', 'u')));
    const client = await database.connect();
    await client.query('BEGIN');
    await client.query(fill(1, 20000));
    const reading = await log.follow(following(address, position, { pieceChanges: 500 }));
    const done = readUntil(reading, (piece) =>
      piece.changes.some((change) => told(change) === 'insert u -1,-'),
    );
    await eventually(async () => (await streamed()).streamed > 0);
    vi.stubEnv('TMPDIR', '/nowhere/at/all');
    await client.query(fill(20001, 100000));
    await client.query('COMMIT');
    await database.query(`INSERT INTO u VALUES (-1)`);
    const changes = (await done).flatMap((piece) => piece.changes);
    expect(ids(changes)).toEqual([...range(1, 100000), -1]);
    await reading.close();
    await log.end(address);
  });
});
