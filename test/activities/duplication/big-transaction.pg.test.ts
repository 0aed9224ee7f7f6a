import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { liveBytes } from '../../conformance/streams.ts';
import type { LinkState } from '../../../stores/spi/log-target.ts';
import { eventually } from '../../support/eventually.ts';
import { type Following, linkJob, type LinkStage, openLinkStage } from '../../support/link-job.ts';
import { createDatabasePair, type DatabasePair, type TestDatabase } from '../../support/postgres.ts';

/** One transaction of the source that is far bigger than what a batch may hold. */

const megabyte = 1024 * 1024;
const rows = 200_000;
const transactionBytes = rows * 1_000;
/** All that is alive besides what was there before: a batch, what is read ahead of it, blocks on their way from and to the disk. */
const mostBytes = 64 * megabyte;

let databases: DatabasePair;
let stage: LinkStage;
let following: Following;
let client: pg.Client | null = null;

beforeAll(async () => {
  databases = await createDatabasePair();
  // The server sends what it does not want to hold itself while the transaction is open.
  await databases.source.query(
    `ALTER DATABASE ${databases.source.name} SET logical_decoding_work_mem = '4MB'`,
  );
});
afterAll(() => databases.drop());
beforeEach(async () => {
  for (const database of [databases.source, databases.target])
    await database.query('DROP SCHEMA IF EXISTS big CASCADE');
  await databases.source.query(`CREATE SCHEMA big; CREATE TABLE big.rows (id int PRIMARY KEY, v text);
    CREATE TABLE big.others (id int PRIMARY KEY)`);
});
afterEach(async () => {
  await client?.end();
  client = null;
  await following.stop().catch(() => undefined);
  await stage.act((all) => all.removeLink({ ...stage.input, abandon: null }));
  await stage.close();
});

/** Rows of a kilobyte that are no two alike. */
const fill = (from: number, to: number): string =>
  `INSERT INTO big.rows SELECT i, repeat(md5(i::text), 31) FROM generate_series(${from}, ${to}) i`;

async function begin(): Promise<void> {
  stage = openLinkStage(
    databases,
    linkJob({ tables: ['big.*'], log: { batchChanges: 20_000, batchBytes: 4 * megabyte } }),
  );
  await stage.act((all) => all.beginLink(stage.input));
  following = stage.follow();
  await stage.load();
  await stage.caughtUp(following);
}

describe('a transaction of 200 MB', () => {
  it('is kept on disk while it is open, others pass it, and it arrives as one without what was rolled back', async () => {
    await begin();
    const before = await counted();
    const seen = await Watch.begin(databases.target);
    client = await databases.source.connect();
    await client.query('BEGIN');
    await client.query(fill(1, rows / 2));
    await client.query('SAVEPOINT doubtful');
    await client.query(fill(rows + 1, rows + rows / 4));
    await client.query('ROLLBACK TO doubtful');
    await client.query(fill(rows / 2 + 1, rows));
    await databases.source.query('INSERT INTO big.others VALUES (1)');
    await eventually(async () => (await decoded()).streamed > 0.9 * transactionBytes);
    await eventually(() => seen.others === 1);
    expect(seen.probes).toEqual(new Set(['{}']));
    await client.query('COMMIT');
    await expectOne(seen, before, { transactions: 2, changes: rows + 1 });
    expect(await batchesOf(rows)).toBe(1);
  });

  it('that ended while nobody followed is pulled, and arrives as one', async () => {
    await begin();
    await databases.source.query(fill(1, rows));
    const before = await counted();
    await following.stop();
    await databases.source.query(`UPDATE big.rows SET v = repeat(md5(v), 31)`);
    // Near the end of the log it would be streamed.
    await databases.source.query(
      `SELECT pg_logical_emit_message(false, 'test', repeat('-', 1000000)) FROM generate_series(1, 40)`,
    );
    const { spilled } = await decoded();
    const seen = await Watch.begin(databases.target);
    following = stage.follow();
    await expectOne(seen, before, { transactions: 1, changes: rows });
    // The server keeps for itself what it does not stream.
    expect((await decoded()).spilled - spilled).toBeGreaterThan(0.9 * transactionBytes);
  });

  it('of a table that is paused waits in the spool and leaves it, each row once', async () => {
    await begin();
    const before = await counted();
    await setState('paused');
    const alive = new Alive();
    await databases.source.query(fill(1, rows / 2));
    await eventually(async () => (await state()).totals.spooledChanges === rows / 2);
    expect((await summary(databases.target))[0]).toMatchObject({ count: '0' });
    await setState('live');
    await expectCounted(before, { transactions: 1, changes: rows / 2 });
    expect(alive.end()).toBeLessThan(mostBytes);
  });
});

async function setState(state: 'paused' | 'live'): Promise<void> {
  await following.stop();
  await stage.act((all) => all.setLinkTable({ ...stage.input, table: 'big.rows', state }));
  following = stage.follow();
}

/** Never a part of it, once, and in bounded memory. */
async function expectOne(seen: Watch, before: Counted, more: Counted): Promise<void> {
  await expectCounted(before, more);
  await eventually(() => seen.probes.size >= 2);
  await seen.end();
  expect(seen.looks).toBeGreaterThan(5);
  expect(seen.probes.size).toBe(2);
  expect(seen.peakBytes).toBeLessThan(mostBytes);
}

async function expectCounted(before: Counted, more: Counted): Promise<void> {
  const { totals } = await stage.caughtUp(following);
  expect(totals).toMatchObject({
    transactions: before.transactions + more.transactions,
    changes: before.changes + more.changes,
    conflicts: 0,
  });
  expect(await summary(databases.target)).toEqual(await summary(databases.source));
}

interface Counted {
  readonly transactions: number;
  readonly changes: number;
}

async function counted(): Promise<Counted> {
  return (await stage.caughtUp(following)).totals;
}

async function state(): Promise<LinkState> {
  const { job } = stage.input;
  const read = await stage.stores.target.capabilities.logTarget?.read({ job: job.name, target: 'target' });
  if (read === null || read === undefined) throw new Error('There is no link.');
  return read;
}

/** Lines of batches that carried so many changes or more. */
async function batchesOf(changes: number): Promise<number> {
  return (await databases.target.query('SELECT 1 FROM syncline.batch WHERE changes >= $1', [changes])).length;
}

/** What the server has sent of open transactions, and what it has kept of them on its own disk. */
async function decoded(): Promise<{ readonly streamed: number; readonly spilled: number }> {
  const [slot] = await databases.source.query<{ streamed: string; spilled: string }>(
    `SELECT s.stream_bytes AS streamed, s.spill_bytes AS spilled
       FROM pg_stat_replication_slots s JOIN pg_replication_slots USING (slot_name) WHERE database = current_database()`,
  );
  return { streamed: Number(slot?.streamed), spilled: Number(slot?.spilled) };
}

async function summary(database: TestDatabase): Promise<readonly Record<string, unknown>[]> {
  return await database.query(
    `SELECT count(*), min(id), max(id), sum(hashtextextended(v, id)) AS rows, (SELECT array_agg(id) FROM big.others) AS others
       FROM big.rows`,
  );
}

/** What is alive in this process, which follows, above what was there at first. */
class Alive {
  private readonly before = liveBytes();
  private peak = 0;
  private readonly timer = setInterval(() => this.look(), 150);

  look(): void {
    this.peak = Math.max(this.peak, liveBytes() - this.before);
  }

  /** The most that was seen. */
  end(): number {
    clearInterval(this.timer);
    this.look();
    return this.peak;
  }
}

/** Looks again and again at rows from everywhere in the transaction on the target. */
class Watch {
  readonly probes = new Set<string>();
  others = 0;
  looks = 0;
  peakBytes = 0;
  private readonly client: pg.Client;
  private readonly alive = new Alive();
  private looking = true;
  private running: Promise<void> = Promise.resolve();

  private constructor(client: pg.Client) {
    this.client = client;
  }

  /** Has looked once. */
  static async begin(target: TestDatabase): Promise<Watch> {
    const watch = new Watch(await target.connect());
    await watch.look();
    watch.running = watch.run();
    watch.running.catch(() => undefined);
    return watch;
  }

  async end(): Promise<void> {
    this.looking = false;
    this.peakBytes = this.alive.end();
    await this.running;
    await this.client.end();
  }

  private async run(): Promise<void> {
    while (this.looking) {
      await this.look();
      await delay(50);
    }
  }

  private async look(): Promise<void> {
    const ids = Array.from({ length: 16 }, (_each, index) => 1 + Math.floor((index * (rows - 1)) / 15));
    const found = await this.client.query<{ probe: string; others: number }>(
      `SELECT coalesce(array_agg(id || ':' || left(v, 4) ORDER BY id), '{}')::text AS probe,
              (SELECT count(*)::int FROM big.others) AS others
         FROM big.rows WHERE id = ANY ($1)`,
      [ids],
    );
    const [row] = found.rows;
    this.probes.add(row?.probe ?? '');
    this.others = row?.others ?? 0;
    this.looks += 1;
  }
}
