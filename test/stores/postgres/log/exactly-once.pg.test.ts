import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Sessions } from '../../../../stores/postgres/connection.ts';
import { followLimits, type FollowLimits } from '../../../../stores/postgres/log/follow.ts';
import { createLogSource } from '../../../../stores/postgres/log/log-source.ts';
import type {
  LinkAddress,
  LogChange,
  LogPosition,
  LogReading,
  LogSource,
} from '../../../../stores/spi/log.ts';
import { createDatabase, type TestDatabase } from '../../../support/postgres.ts';
import { beginning, following, newAddress, tables, told } from './followed.ts';
import { createWritten, randomFrom, write, type Written, writtenTables } from './writers.ts';

/** Thresholds so small that a few seconds of writing cross them again and again. */
const ways: Readonly<Record<string, Partial<FollowLimits>>> = {
  'as a stream': { pullFromBytes: Infinity, fallBackBytes: Infinity },
  'by pulling': { pullFromBytes: 1, fallBackBytes: 1, portionBytes: 3_000_000, watchEveryMs: 50 },
  'by turns': {
    pullFromBytes: 700_000,
    fallBackBytes: 1_000_000,
    portionBytes: 2_000_000,
    watchEveryMs: 100,
  },
};

/** What a target would hold: it keeps what came up to a position and forgets the rest when it has to begin again. */
class Target {
  readonly transactions: {
    readonly xid: number;
    readonly position: LogPosition;
    readonly effects: string[];
  }[] = [];
  readonly ways = new Set<LogReading['way']>();
  parts = 0;
  position: LogPosition;
  private uncommitted: LogChange[] = [];
  private counted = 0;

  constructor(from: LogPosition) {
    this.position = from;
  }

  forget(): void {
    this.uncommitted = [];
    this.counted = 0;
  }

  take(changes: readonly LogChange[], position: LogPosition | null, transactions: number): void {
    this.uncommitted.push(...changes);
    this.counted += transactions;
    if (position === null) {
      this.parts += 1;
      return;
    }
    expect(position >= this.position).toBe(true);
    const before = this.transactions.length;
    for (const change of this.uncommitted) {
      const { xid, position: at } = change.transaction;
      const last = this.transactions.at(-1);
      if (last?.position === at) last.effects.push(told(change));
      else {
        expect(at >= (before === this.transactions.length ? this.position : (last?.position ?? ''))).toBe(
          true,
        );
        this.transactions.push({ xid, position: at, effects: [told(change)] });
      }
    }
    expect(this.transactions.length - before).toBe(this.counted);
    this.position = position;
    this.forget();
  }
}

describe.each([18, 15] as const)('every transaction once and in order, on PostgreSQL %i', (version) => {
  let database: TestDatabase;
  let sessions: Sessions;

  beforeAll(async () => {
    database = await createDatabase(version);
    // Transactions of a few hundred rows count as large ones.
    await database.query(`ALTER DATABASE ${database.name} SET logical_decoding_work_mem = '64kB'`);
    sessions = new Sessions('source', {
      kind: 'postgres',
      url: database.url,
      connections: 8,
      connectTimeoutMs: 10_000,
    });
  });
  afterAll(async () => {
    await sessions.close();
    await database.drop();
  });

  /** Reads until the writers are done and the log has come to where they ended, and begins again whenever it is cut off. */
  async function read(log: LogSource, target: Target, run: Run): Promise<void> {
    const { address } = run;
    const random = randomFrom(run.seed + 77);
    const pieceChanges = 50 + Math.floor(random() * 400);
    while (run.end === null || target.position < run.end) {
      const reading = await log.follow(following(address, target.position, { pieceChanges, binary: false }));
      target.forget();
      let left = Math.floor(random() * 60);
      try {
        for await (const piece of reading.pieces()) {
          target.take(piece.changes, piece.position, piece.transactions);
          target.ways.add(reading.way);
          if (piece.position !== null && random() < 0.5) await reading.confirm(piece.position);
          left -= 1;
          if (left === 0 && random() < 0.3) await kill(address);
          else if (left < 0 && random() < 0.02) break;
          if (run.end !== null && target.position >= run.end) break;
        }
      } catch (error) {
        expect(error).toMatchObject({ code: 'store.connectionLost' });
      }
      await reading.close();
    }
  }

  const kill = (address: LinkAddress): Promise<unknown> =>
    database.query(
      `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'syncline/' || $1 || '/log'`,
      [address.job],
    );

  describe.each(Object.entries(ways))('%s', (_way, limits) => {
    it.each([1, 2])('holds for writers of seed %i', async (seed) => {
      await createWritten(database);
      const log = createLogSource(sessions, { ...followLimits, ...limits });
      const address = newAddress();
      const begun = await log.begin(beginning(address, tables(...writtenTables, 'e')));
      const target = new Target(begun.position);
      const run: Run = { address, seed, end: null };
      const reading = read(log, target, run);
      const written = await write(database, { seed, writers: 4, transactions: 40 });
      const [end] = await database.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
      run.end = log.positionOf({ snapshot: '', insertPosition: end?.lsn ?? '', systemId: '', timeline: 1 });
      await database.query('SELECT pg_current_xact_id()');
      await reading;
      compare(target, written);
      const slot = await log.retained(address);
      expect(slot?.state).toBe('kept');
      if (limits.fallBackBytes !== Infinity) expect([...target.ways]).toContain('pull');
      await log.end(address);
    });
  });
});

interface Run {
  readonly address: LinkAddress;
  readonly seed: number;
  end: LogPosition | null;
}

function compare(target: Target, written: Written): void {
  const xids = target.transactions.map(({ xid }) => xid);
  expect(new Set(xids).size).toBe(xids.length);
  expect([...xids].sort()).toEqual([...written.keys()].sort());
  for (const { xid, effects } of target.transactions) expect(effects).toEqual(written.get(xid));
}
