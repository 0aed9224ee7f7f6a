import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { postgresModule } from '../../../../stores/postgres/module.ts';
import type { Store } from '../../../../stores/spi/store.ts';
import { startPostgres, type PostgresServer } from '../../../../worker/local/postgres.ts';
import { isUnchanged, openMarked, read, type Read, type Which } from './marked.ts';

const writers = 5;
const steps = 400;

/** Small, fast, the same on every machine. */
function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % sides;
  };
}

const picked = `SELECT ctid FROM public.t ORDER BY random() LIMIT 1 FOR UPDATE SKIP LOCKED`;
const writes = [
  `UPDATE public.t SET v = v + 1 WHERE ctid IN (${picked})`,
  `UPDATE public.t SET id = (random() * 100)::int WHERE ctid IN (${picked})`,
  `DELETE FROM public.t WHERE ctid IN (${picked})`,
  `INSERT INTO public.t VALUES ((random() * 100)::int, 0)`,
  `WITH gone AS (DELETE FROM public.t WHERE ctid IN (${picked}) RETURNING id) INSERT INTO public.t SELECT id, 7 FROM gone`,
];

/** Transactions with savepoints, rolled back or not, prepared or not, some open for long. */
class Writer {
  private readonly client: pg.Client;
  private readonly roll: (sides: number) => number;
  private readonly prepared: string[];
  private depth = -1;

  constructor(client: pg.Client, roll: (sides: number) => number, prepared: string[]) {
    this.client = client;
    this.roll = roll;
    this.prepared = prepared;
  }

  async step(): Promise<void> {
    const { client, roll, prepared } = this;
    if (this.depth < 0) {
      const waiting = prepared.length > 0 && roll(3) === 0 ? prepared.shift() : undefined;
      if (waiting !== undefined) {
        await client.query(`${roll(2) === 0 ? 'COMMIT' : 'ROLLBACK'} PREPARED '${waiting}'`);
        return;
      }
      await client.query('BEGIN');
      this.depth = 0;
      return;
    }
    const move = roll(12);
    if (move < 6) await client.query(writes[roll(writes.length)] ?? 'SELECT 1');
    else if (move < 8) {
      this.depth += 1;
      await client.query(`SAVEPOINT s${String(this.depth)}`);
    } else if (move < 9 && this.depth > 0) {
      await client.query(`ROLLBACK TO s${String(this.depth)}`);
      this.depth -= 1;
    } else await this.end(move);
  }

  private async end(move: number): Promise<void> {
    this.depth = -1;
    if (move === 11 && this.prepared.length < 3) {
      const name = `p${String(this.roll(1e9))}`;
      await this.client.query(`PREPARE TRANSACTION '${name}'`);
      this.prepared.push(name);
    } else await this.client.query(move === 10 ? 'ROLLBACK' : 'COMMIT');
  }
}

describe.each([18, 15] as const)('the mark of what was read, over the life of a PostgreSQL %i', (version) => {
  let server: PostgresServer;
  let store: Store;

  beforeAll(async () => {
    server = await startPostgres({
      version,
      settings: { max_prepared_transactions: '10', wal_writer_delay: '10s' },
    });
    store = postgresModule.open('source', {
      kind: 'postgres',
      url: server.url,
      connections: 8,
      connectTimeoutMs: 10_000,
    });
  });
  afterAll(async () => {
    await store.close();
    await server.stop('immediate');
  });

  const connected = async <T>(work: (client: pg.Client) => Promise<T>): Promise<T> => {
    const client = new pg.Client({ connectionString: server.url });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return await work(client);
    } finally {
      await client.end().catch(() => undefined);
    }
  };

  it.each([1, 2, 3])(
    'never says unchanged of other rows, whatever transactions do (seed %i)',
    async (seed) => {
      const roll = dice(seed);
      const units: readonly Which[] = [
        { columns: ['id', 'v'] },
        { columns: ['id', 'v'], range: { columns: ['id'], from: ['40'], to: ['60'] } },
      ];
      const earlier: Past[] = [];
      const found = { unchanged: 0, changed: 0, overlooked: 0, wrong: 0 };
      await connected((admin) =>
        admin.query(`DROP TABLE IF EXISTS public.t; CREATE TABLE public.t (id int, v int);
          INSERT INTO public.t SELECT i, 0 FROM generate_series(1, 100) i`),
      );
      const clients = await Promise.all(Array.from({ length: writers }, () => connectTo(server.url)));
      const prepared: string[] = [];
      try {
        const all = clients.map((client) => new Writer(client, roll, prepared));
        for (let step = 0; step < steps; step += 1) {
          await all[roll(writers)]?.step();
          if (roll(4) !== 0) continue;
          const which = units[roll(units.length)] ?? {};
          for (const verdict of await verdicts(store, which, earlier)) found[verdict] += 1;
          earlier.push({ which, read: await read(store, 't', which) });
          if (earlier.length > 12) earlier.shift();
        }
      } finally {
        await Promise.all(clients.map((client) => client.end()));
        for (const name of prepared) await connected((admin) => admin.query(`ROLLBACK PREPARED '${name}'`));
      }
      expect(found.wrong).toBe(0);
      expect(found.unchanged).toBeGreaterThan(20);
      expect(found.changed).toBeGreaterThan(20);
    },
  );

  /** Read before a transaction that commits without waiting for the disk, after it, and after a crash just then. */
  async function crash(update: string): Promise<[Read, Read, Read]> {
    const before = await read(store, 't');
    expect(await isUnchanged(store, 't', before)).toBe(true);
    await connected((client) => client.query(`SET synchronous_commit = off; ${update}`));
    const lost = await read(store, 't');
    expect(lost.digest).not.toBe(before.digest);
    await server.kill();
    await server.restart();
    return [before, lost, await read(store, 't')];
  }

  it('is not believed after a crash that took a visible transaction back', async () => {
    const update = `UPDATE public.t SET v = v + 1 WHERE id = 1`;
    await connected((client) =>
      client.query(
        `DROP TABLE IF EXISTS public.t; CREATE TABLE public.t (id int, v int); INSERT INTO public.t VALUES (1, 0)`,
      ),
    );
    await connected((client) => client.query('CHECKPOINT'));
    let [before, lost, after] = await crash(update);
    // The server may have flushed it by itself just then.
    while (after.digest === lost.digest) [before, lost, after] = await crash(update);
    expect(after.digest).toBe(before.digest);
    // Another transaction may get the id of the one that was lost.
    expect(after.digest).toBe(before.digest);
    await connected(async (client) => {
      await client.query(`UPDATE public.t SET v = 99 WHERE id = 1`);
      for (let xid = 0; xid < 50; xid += 1) await client.query('SELECT pg_current_xact_id()');
    });
    expect(await isUnchanged(store, 't', lost)).toBe(false);
    expect(await isUnchanged(store, 't', before)).toBe(false);
    expect(await isUnchanged(store, 't', after)).toBe(false);
  });

  it('outlives a server that is stopped and started as it should be', async () => {
    const before = await read(store, 't');
    await server.restart();
    expect(await isUnchanged(store, 't', before)).toBe(true);
  });
});

interface Past {
  readonly which: Which;
  readonly read: Read;
}

/** What is said of each earlier reading of the same rows, held against its digest, under one snapshot. */
async function verdicts(
  store: Store,
  which: Which,
  earlier: readonly Past[],
): Promise<('unchanged' | 'changed' | 'overlooked' | 'wrong')[]> {
  const now = await openMarked(store, 't', which);
  try {
    const digest = await now.digest();
    const found: ('unchanged' | 'changed' | 'overlooked' | 'wrong')[] = [];
    for (const { read: past } of earlier.filter((each) => each.which === which)) {
      const said = past.earlier !== null && (await now.unchangedSince?.(past.earlier)) === true;
      const same = past.digest === digest;
      found.push(said ? (same ? 'unchanged' : 'wrong') : same ? 'overlooked' : 'changed');
    }
    return found;
  } finally {
    await now.close();
  }
}

async function connectTo(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}
