import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createLogTarget } from '../../../../stores/postgres/apply/log-target.ts';
import { Sessions } from '../../../../stores/postgres/connection.ts';
import { createLoadLedger } from '../../../../stores/postgres/ledger/load-ledger.ts';
import { ensureLedger } from '../../../../stores/postgres/ledger/schema.ts';
import { postgresSettings } from '../../../../stores/postgres/settings.ts';
import type { OpenLink } from '../../../../stores/spi/log-target.ts';
import { eventually } from '../../../support/eventually.ts';
import { createDatabase, type TestDatabase } from '../../../support/postgres.ts';
import { newLink, ref } from '../apply/link.ts';

/** What the first version made, word for word: it knew no links. */
const firstLedger = `
CREATE SCHEMA IF NOT EXISTS syncline;
CREATE TABLE IF NOT EXISTS syncline.load (
  job text NOT NULL, load text NOT NULL, run text NOT NULL, source_store text NOT NULL, target_store text NOT NULL,
  tables jsonb NOT NULL, units bigint NOT NULL, chunks bigint NOT NULL, bytes bigint NOT NULL,
  created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(), PRIMARY KEY (job, load));
CREATE TABLE IF NOT EXISTS syncline.unit (
  job text NOT NULL, load text NOT NULL, ordinal bigint NOT NULL, first_of_chunk bigint NOT NULL, kind text NOT NULL,
  chunk text NOT NULL, slice int NOT NULL, table_ordinal int NOT NULL, source_leaf jsonb NOT NULL,
  target_leaf jsonb NOT NULL, range jsonb, bound text, bytes bigint NOT NULL, PRIMARY KEY (job, load, ordinal));
CREATE TABLE IF NOT EXISTS syncline.ledger (
  job text NOT NULL, load text NOT NULL, chunk text NOT NULL, slice int NOT NULL, run text NOT NULL,
  attempt int NOT NULL, rows bigint NOT NULL, bytes bigint NOT NULL, digest text, snapshot text NOT NULL,
  insert_lsn pg_lsn NOT NULL, system_id text NOT NULL, timeline int NOT NULL,
  committed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(), PRIMARY KEY (job, load, chunk, slice));
CREATE TABLE IF NOT EXISTS syncline.dead_letter (
  job text NOT NULL, load text NOT NULL, ordinal bigint NOT NULL, chunk text NOT NULL, code text NOT NULL,
  message text NOT NULL, set_aside_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  PRIMARY KEY (job, load, ordinal));
CREATE TABLE IF NOT EXISTS syncline.watermark (
  job text NOT NULL PRIMARY KEY, reached text NOT NULL, load text NOT NULL,
  moved_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp());
`;

const load = { job: 'old', load: 'l1', run: 'r', sourceStore: 's', targetStore: 't' };

const opening = (): OpenLink => ({
  ...{ ref, lanes: 1, durable: true, laggingAfterMs: 1 },
  signal: new AbortController().signal,
});

const schemaLock = `pg_catalog.hashtextextended('syncline.schema', 0)`;

describe.each([18, 15] as const)('the ledger of the first version, on PostgreSQL %i', (version) => {
  let database: TestDatabase;
  let programs: Sessions[] = [];

  beforeAll(async () => {
    database = await createDatabase(version);
  });
  afterAll(() => database.drop());
  beforeEach(async () => {
    await database.query(`DROP SCHEMA IF EXISTS syncline CASCADE; ${firstLedger}
      INSERT INTO syncline.load VALUES ('old', 'l1', 'r', 's', 't', '[]', 2, 2, 100);
      INSERT INTO syncline.unit SELECT 'old', 'l1', i, i, 'load', 'public.t' || i, 0, 0, '{}', '{}', NULL, NULL, 50
        FROM generate_series(1, 2) i;
      INSERT INTO syncline.ledger VALUES ('old', 'l1', 'public.t1', 0, 'r', 1, 7, 50, 'd', '1:1:', '0/1', '1', 1);
      INSERT INTO syncline.dead_letter VALUES ('old', 'l1', 2, 'public.t2', 'store.statement', 'no');
      INSERT INTO syncline.watermark VALUES ('old', '2026-01-01', 'l1')`);
  });
  afterEach(async () => {
    await Promise.all(programs.map((sessions) => sessions.close()));
    programs = [];
  });

  function program(): Sessions {
    const sessions = new Sessions('dr', postgresSettings.parse({ kind: 'postgres', url: database.url }));
    programs.push(sessions);
    return sessions;
  }

  async function rows(): Promise<unknown> {
    return await database.query(
      `SELECT (SELECT json_agg(l) FROM syncline.load l) AS load, (SELECT json_agg(u ORDER BY ordinal) FROM syncline.unit u) AS unit,
         (SELECT json_agg(l ORDER BY chunk) FROM syncline.ledger l) AS ledger, (SELECT json_agg(d) FROM syncline.dead_letter d) AS dead,
         (SELECT json_agg(w) FROM syncline.watermark w) AS watermark`,
    );
  }

  /** Every column of its tables and indexes. */
  async function shape(): Promise<readonly unknown[]> {
    return await database.query(
      `SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull,
              pg_get_expr(d.adbin, d.adrelid) AS otherwise
         FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
         LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'syncline'::regnamespace AND c.relkind IN ('r', 'i') ORDER BY c.relname, a.attnum`,
    );
  }

  /** Who waits to be the one that changes it. */
  async function waiting(): Promise<number> {
    const locks = await database.query(
      `SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
    );
    return locks.length;
  }

  async function tables(): Promise<number> {
    return (await database.query(`SELECT 1 FROM pg_tables WHERE schemaname = 'syncline'`)).length;
  }

  it('is read as it is: who only looks adds nothing', async () => {
    const sessions = program();
    const [ledger, links] = [createLoadLedger(sessions), createLogTarget(sessions)];
    expect(await ledger.watermarks.get('old')).toBe('2026-01-01');
    expect(await ledger.totals(load)).toMatchObject({
      unitsDone: 1,
      unitsSkipped: 1,
      rows: 7,
    });
    expect(await links.read(ref)).toBeNull();
    expect(await links.tables(ref)).toEqual([]);
    expect(await links.deadTransactions(ref, 10)).toEqual([]);
    expect(await links.batches(ref, { ms: null, limit: 10 })).toEqual([]);
    await links.forget(ref);
    expect(await tables()).toBe(5);
  });

  it('becomes what a new one is, and keeps its rows', async () => {
    const before = await rows();
    const link = await createLogTarget(program()).create(newLink(1));
    expect(link).toMatchObject({ ref, generation: 1 });
    expect(await rows()).toEqual(before);
    const upgraded = await shape();
    await database.query('DROP SCHEMA syncline CASCADE');
    await ensureLedger(program());
    expect(await shape()).toEqual(upgraded);
    expect(upgraded.length).toBeGreaterThan(100);
  });

  it('that has links already and says no version gets one, and keeps its links', async () => {
    const link = await createLogTarget(program()).create(newLink(7));
    await database.query('DROP TABLE syncline.version');
    const links = createLogTarget(program());
    expect(await links.read(ref)).toEqual(link);
    const writer = await links.open(opening());
    expect(writer.state).toEqual(link);
    await writer.close();
    expect(await database.query('SELECT number FROM syncline.version')).toEqual([{ number: 3 }]);
  });

  it('is brought up to date by several at once, the first version among them, while one commits rows', async () => {
    const writer = await database.connect();
    await writer.query(`BEGIN; INSERT INTO syncline.ledger SELECT job, load, 'public.t2', slice, run, attempt, rows, bytes,
      digest, snapshot, insert_lsn, system_id, timeline FROM syncline.ledger`);
    const gate = await database.connect();
    await gate.query(`SELECT pg_advisory_lock(${schemaLock})`);
    const older = database.query(
      `BEGIN; SELECT pg_catalog.pg_advisory_xact_lock(${schemaLock}); ${firstLedger} COMMIT`,
    );
    const newer = Array.from({ length: 4 }, () => createLogTarget(program()).create(newLink(1)));
    // All of them have seen that something is missing.
    await eventually(async () => (await waiting()) === 5);
    await gate.query(`SELECT pg_advisory_unlock(${schemaLock})`);
    const made = await Promise.all(newer);
    await older;
    expect(new Set(made.map(({ createdAt }) => createdAt)).size).toBe(1);
    expect(await tables()).toBe(14);
    await writer.query('COMMIT');
    const { unitsDone } = await createLoadLedger(program()).totals(load);
    expect(unitsDone).toBe(2);
  });

  it('goes with its last job, whether it was brought up to date or not', async () => {
    for (const upgrade of [false, true]) {
      if (upgrade) await database.query(firstLedger);
      const sessions = program();
      if (upgrade) await ensureLedger(sessions);
      await createLoadLedger(sessions).forget('old');
      expect(await database.query(`SELECT 1 FROM pg_namespace WHERE nspname = 'syncline'`)).toEqual([]);
    }
  });

  it('of a newer version is refused by whoever would write, and nothing of it is touched', async () => {
    await ensureLedger(program());
    await database.query('UPDATE syncline.version SET number = 99; ALTER TABLE syncline.lane ADD newer int');
    const before = [await shape(), await rows()];
    const refused = { code: 'target.newerLedger', message: expect.stringContaining('99') as string };
    const sessions = program();
    const [ledger, links] = [createLoadLedger(sessions), createLogTarget(sessions)];
    const failure = { ordinal: 1, chunk: 'c', code: 'store.statement', message: 'no' } as const;
    for (const writing of [
      () => links.create(newLink(1)),
      () => links.restart(newLink(1)),
      () => links.open(opening()),
      () => ledger.deadLetters.put(load, failure),
    ])
      await expect(writing()).rejects.toMatchObject(refused);
    expect([await shape(), await rows()]).toEqual(before);
  });

  it('that a newer program makes of it meanwhile is refused, too', async () => {
    const gate = await database.connect();
    await gate.query(`BEGIN; SELECT pg_advisory_xact_lock(${schemaLock})`);
    const making = createLogTarget(program()).create(newLink(1));
    making.catch(() => undefined);
    await eventually(async () => (await waiting()) === 1);
    await gate.query(
      'CREATE TABLE syncline.version (number int NOT NULL); INSERT INTO syncline.version VALUES (99); COMMIT',
    );
    await expect(making).rejects.toMatchObject({ code: 'target.newerLedger' });
    expect(await database.query('SELECT number FROM syncline.version')).toEqual([{ number: 99 }]);
    expect(await database.query('SELECT 1 FROM syncline.link')).toEqual([]);
  });
});
