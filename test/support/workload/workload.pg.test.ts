import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../eventually.ts';
import { createDatabasePair, type DatabasePair, type TestDatabase } from '../postgres.ts';
import { differencesBetween } from './compare.ts';
import { atOneInstant, gather, judge, type Violation } from './invariants.ts';
import { Reader } from './reader.ts';
import { definitionOf, oddTable, workloadTables } from './tables.ts';
import { prepareSource, startWorkload, type WorkloadPlan } from './workload.ts';

const plan: WorkloadPlan = {
  seed: 1,
  shape: { scale: 0.1, writers: 5, toastIdentity: 'key' },
  paceMs: 0,
  asynchronous: [2],
  growth: { partitions: [] },
};
const tallied = workloadTables.filter(({ tallied }) => tallied !== 'never').map(({ name }) => name);

async function lookAt(database: TestDatabase): Promise<Violation[]> {
  const client = await database.connect();
  return judge(await atOneInstant(client, () => gather(client, tallied)));
}

describe('a workload', () => {
  let databases: DatabasePair;

  beforeEach(async () => {
    databases = await createDatabasePair();
    await prepareSource(databases.source.url, plan.shape);
  });

  afterEach(async () => {
    await databases.drop();
  });

  it('keeps its own promises on the source at every instant, while partitions join', async () => {
    const { source } = databases;
    const partitions = (['created', 'attached'] as const).map((how) => ({ how, afterMs: 300, rows: 40 }));
    const workload = startWorkload(source.url, { ...plan, growth: { partitions } });
    const reader = new Reader({ url: source.url, isConsistent: () => Promise.resolve(true), everyMs: 50 });
    await Promise.race([delay(8_000), workload.running]);
    const written = await workload.stop();
    const { looks, violations } = await reader.stop();
    expect(violations).toEqual([]);
    expect(looks).toBeGreaterThan(5);
    expect(written.committed).toBeGreaterThan(50);
    expect(written.rolledBack).toBeGreaterThan(2);
    expect(await lookAt(source)).toEqual([]);
  });

  it("is followed by PostgreSQL's own subscription without a violation", async () => {
    const { source, target } = databases;
    await target.query(definitionOf(plan.shape));
    await source.query('CREATE PUBLICATION everything FOR TABLES IN SCHEMA lab');
    const workload = startWorkload(source.url, plan);
    await target.query(
      `CREATE SUBSCRIPTION ${target.name} CONNECTION '${source.url}' PUBLICATION everything WITH (origin = any)`,
    );
    const reader = new Reader({
      url: target.url,
      everyMs: 50,
      async isConsistent(client) {
        const { rows } = await client.query<{ ready: boolean }>(
          `SELECT bool_and(srsubstate = 'r') AS ready FROM pg_subscription_rel`,
        );
        return rows[0]?.ready === true;
      },
    });
    try {
      await eventually(() => reader.sightings.looks > 10);
      await workload.stop();
      await source.query('SELECT pg_logical_emit_message(true, $1, $2)', ['lab', 'last']);
      const [end] = await source.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn() AS lsn');
      await eventually(async () => {
        const [slot] = await source.query<{ there: boolean }>(
          `SELECT confirmed_flush_lsn >= '${end?.lsn ?? ''}' AS there FROM pg_replication_slots WHERE slot_name = '${target.name}'`,
        );
        return slot?.there;
      });
      // It takes rows for the same that are equal but not alike, such as 1.0 and 1.00.
      const { violations } = await reader.stop();
      expect(violations.filter(({ what }) => !what.startsWith('lab.keyless:'))).toEqual([]);
      const differences = await differencesBetween(source.url, target.url);
      expect(differences.filter(({ table }) => table !== 'lab.keyless')).toEqual([]);
    } finally {
      await workload.stop();
      await target.query(`DROP SUBSCRIPTION ${target.name}`);
    }
  });

  it('that was doctored is found out, whatever was changed', async () => {
    const { source } = databases;
    const workload = startWorkload(source.url, plan);
    const client = await source.connect();
    await eventually(async () => {
      const [row] = await source.query<{ enough: boolean }>(
        `SELECT (SELECT n > 5 FROM lab.clock) AND (SELECT count(*) > 3 FROM lab.history) AND
                (SELECT max(seq) > 5 FROM lab.ticket WHERE writer = 2) AS enough`,
      );
      return row?.enough;
    });
    await workload.stop();
    // What the tables hold whichever of them was emptied last.
    await client.query(
      `SET lab.writer = 0; INSERT INTO lab.keyless SELECT i % 3, NULL, 1.0, 0 FROM generate_series(1, 9) AS i`,
    );
    await client.query(
      `INSERT INTO lab.event SELECT i, 5, 'last' FROM generate_series(8000001, 8000003) AS i`,
    );
    await client.query(
      `INSERT INTO lab.toast SELECT i, 5, repeat('x', 9000) FROM generate_series(8000001, 8000003) AS i`,
    );
    await client.query(`INSERT INTO lab.child SELECT 8000001, min(id) FROM lab.parent`);
    await client.query(`SET session_replication_role = replica`);
    const found: Record<string, string[]> = {};
    for (const sql of Object.keys(damages)) {
      await client.query('BEGIN');
      const { rowCount } = await client.query(sql);
      expect(rowCount, sql).toBeGreaterThan(0);
      found[sql] = [...new Set(judge(await gather(client, tallied)).map(({ kind }) => kind))].sort();
      await client.query('ROLLBACK');
    }
    expect(found).toEqual(damages);
    expect(await lookAt(source)).toEqual([]);
  });

  it('on another side that was doctored differs by the rows that were changed', async () => {
    const { source, target } = databases;
    await prepareSource(target.url, plan.shape);
    expect(await differencesBetween(source.url, target.url)).toEqual([]);
    const client = await target.connect();
    await client.query('SET session_replication_role = replica');
    await client.query(`DELETE FROM lab.seat WHERE id IN (1, 2)`);
    await client.query(`INSERT INTO lab.keyless SELECT * FROM lab.keyless LIMIT 3`);
    await client.query(`UPDATE lab.toast SET big = NULL WHERE id = 5`);
    await client.query(`UPDATE lab.event SET day = 51 WHERE id = 7`);
    expect(await differencesBetween(source.url, target.url)).toEqual([
      { table: 'lab.event', lost: 1, doubled: 1 },
      { table: 'lab.toast', lost: 1, doubled: 1 },
      { table: 'lab.keyless', lost: 0, doubled: 3 },
      { table: 'lab.seat', lost: 2, doubled: 0 },
    ]);
  });
});

const one = (table: string, where = 'true'): string =>
  `ctid = (SELECT ctid FROM ${table} WHERE ${where} LIMIT 1)`;

/** By what was done to the rows, behind the back of the tally: what the checker must call it. */
const damages: Readonly<Record<string, readonly string[]>> = {
  'DELETE FROM lab.ticket WHERE writer = 2 AND seq = 3': ['lost'],
  'DELETE FROM lab.ticket WHERE writer = 2 AND seq = (SELECT n FROM lab.counter_a WHERE writer = 2)': [
    'torn',
  ],
  'UPDATE lab.counter_b SET n = n - 1 WHERE writer = 2': ['torn'],
  'DELETE FROM lab.tick WHERE n = 2': ['lost'],
  'UPDATE lab.clock SET n = n + 1': ['torn'],
  'UPDATE lab.account SET balance = balance + 1 WHERE id = 1': ['torn'],
  'INSERT INTO lab.history SELECT * FROM lab.history LIMIT 1': ['doubled', 'torn'],
  [`DELETE FROM lab.history WHERE ${one('lab.history', 'delta <> 0')}`]: ['torn'],
  [`DELETE FROM lab.keyless WHERE ${one('lab.keyless')}`]: ['torn'],
  'INSERT INTO lab.keyless SELECT * FROM lab.keyless LIMIT 1': ['torn'],
  [`UPDATE lab.keyless SET c = 1.000 WHERE ${one('lab.keyless', 'c = 1.0')}`]: ['torn'],
  'UPDATE lab.toast SET big = NULL WHERE id = (SELECT min(id) FROM lab.toast WHERE big IS NOT NULL)': [
    'torn',
  ],
  'UPDATE lab.event SET day = day + 1 WHERE id = (SELECT max(id) FROM lab.event)': ['torn'],
  'UPDATE lab.word SET n = CASE word WHEN $$w5$$ THEN 6 ELSE 5 END WHERE word IN ($$w5$$, $$w6$$)': ['torn'],
  'UPDATE lab.seat SET line = 10000 - line': ['torn'],
  'DELETE FROM lab.child WHERE id = (SELECT min(id) FROM lab.child)': ['torn'],
  'UPDATE lab.booking SET during = $$[9000,9001)$$ WHERE id = (SELECT min(id) FROM lab.booking)': ['torn'],
  [`UPDATE ${oddTable} SET f = 0 WHERE f = 0 AND f::text = '-0'`]: ['torn'],
  'DELETE FROM lab.parent': ['torn'],
};
