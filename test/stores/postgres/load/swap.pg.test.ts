import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDatabase, type TestDatabase } from '../../../support/postgres.ts';
import { type LoadStage, openStage } from '../../../support/load-job.ts';
import { contentOf } from '../../../support/table-content.ts';
import { bring, inOrder, newRef, planOf, slicesOf, unitOf } from '../../../conformance/units.ts';
import { catalogueOf, dressed } from './carried.ts';

describe.each([18, 15] as const)('an exchange on PostgreSQL %i', (version) => {
  const role = `role_${randomUUID().slice(0, 8)}`;
  let source: TestDatabase;
  let target: TestDatabase;
  let stage: LoadStage;

  beforeAll(async () => {
    [source, target] = await Promise.all([createDatabase(18), createDatabase(version)]);
    for (const database of new Set([source, target]))
      await database.query(
        `DO $$ BEGIN CREATE ROLE ${role}; CREATE ROLE ${role}_owner; EXCEPTION WHEN duplicate_object THEN NULL; END $$`,
      );
    for (const database of [source, target]) await database.query(dressed(role));
    stage = openStage({ source, target });
    await source.query(
      `INSERT INTO plain (a, t) SELECT i, 'new ' || i FROM generate_series(10, 90) i; INSERT INTO parted SELECT i, 2, 'new', 1 FROM generate_series(2, 300) i WHERE i <> 150`,
    );
  });
  afterAll(async () => {
    await stage.close();
    await Promise.all([source.drop(), target.drop()]);
    for (const database of [await createDatabase(18), await createDatabase(15)]) {
      await database.query(`DROP ROLE IF EXISTS ${role}, ${role}_owner`);
      await database.drop();
    }
  });

  const plain = planOf('plain', { strategy: 'swap', columns: ['id', 's', 'a', 'ref', 't', 'r', 'big'] });
  const parted = planOf('parted', { strategy: 'swap', columns: ['id', 'a', 't', 'ref'] });

  it('leaves everything that hangs on a plain table as it was', async () => {
    const before = await catalogueOf(target, 'plain');
    await target.query(`SELECT setval('plain_id_seq', 4711)`);
    await bring({ ...stage.stores, ref: newRef(), plan: plain, unit: unitOf('plain') });
    expect(await catalogueOf(target, 'plain')).toEqual(before);
    expect(await contentOf(target, 'public.plain')).toEqual(await contentOf(source, 'public.plain'));
    const [next] = await target.query<{ id: string }>(`SELECT nextval('plain_id_seq') AS id`);
    expect(next?.id).toBe('4714');
  });

  it.each(['"Leaf.1"', 'leaf_2', 'leaf_rest'])(
    'leaves everything that hangs on partition %s as it was',
    async (leaf) => {
      const name = leaf.replaceAll('"', '');
      const before = await catalogueOf(target, leaf);
      await bring({ ...stage.stores, ref: newRef(), plan: parted, unit: unitOf(name) });
      expect(await catalogueOf(target, leaf)).toEqual(before);
      expect(await contentOf(target, `public.${leaf}`)).toEqual(await contentOf(source, `public.${leaf}`));
    },
  );

  it('carries the same by slices and their completion', async () => {
    const before = await catalogueOf(target, 'plain');
    const ref = newRef();
    await target.query('TRUNCATE plain');
    for (const unit of await planned(ref, slicesOf('plain', [20, 100], true)))
      await bring({ ...stage.stores, ref, plan: plain, unit });
    expect(await catalogueOf(target, 'plain')).toEqual(before);
    expect(await contentOf(target, 'public.plain')).toEqual(await contentOf(source, 'public.plain'));
  });

  async function planned<Unit extends ReturnType<typeof unitOf>>(
    ref: ReturnType<typeof newRef>,
    units: Unit[],
  ): Promise<Unit[]> {
    const ledger = stage.stores.target.capabilities.loadLedger;
    await ledger?.plans.write(ref, [plain], inOrder(units));
    return units;
  }

  it('waits for a long reader without holding up others, and readers see the old rows until then', async () => {
    await target.query(`DELETE FROM "Leaf.1" WHERE id > 1`);
    const reader = await target.connect();
    await reader.query('BEGIN; SELECT count(*) FROM parted');
    let done = false;
    const loading = bring({ ...stage.stores, ref: newRef(), plan: parted, unit: unitOf('Leaf.1') }).then(
      (loaded) => {
        done = true;
        return loaded;
      },
    );
    // Were its wait for the lock not cut again and again, these would wait behind it for the reader, which waits for them.
    for (let i = 0; i < 60; i += 1) {
      const [row] = await target.query<{ n: number }>(`SELECT count(*)::int AS n FROM "Leaf.1"`);
      expect(row?.n).toBe(1);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(done).toBe(false);
    await reader.query('COMMIT');
    expect((await loading).rows).toBe(99);
    expect(await contentOf(target, 'public."Leaf.1"')).toEqual(await contentOf(source, 'public."Leaf.1"'));
  });

  it('of many partitions of one parent at once ends without a deadlock, hash and sub-partitions too', async () => {
    const ddl = `CREATE TABLE many (id int, v text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
      CREATE TABLE many_sub PARTITION OF many FOR VALUES FROM (0) TO (1000) PARTITION BY HASH (id);
      ${[0, 1, 2, 3].map((i) => `CREATE TABLE many_h${String(i)} PARTITION OF many_sub FOR VALUES WITH (MODULUS 4, REMAINDER ${String(i)});`).join('')}
      ${[1, 2, 3, 4, 5, 6, 7, 8].map((i) => `CREATE TABLE many_${String(i)} PARTITION OF many FOR VALUES FROM (${String(i)}000) TO (${String(i + 1)}000);`).join('')}
      CREATE TABLE many_rest PARTITION OF many DEFAULT;`;
    for (const database of [source, target]) await database.query(ddl);
    await source.query(`INSERT INTO many SELECT i, md5(i::text) FROM generate_series(0, 9999) i`);
    await target.query(`INSERT INTO many SELECT i, 'old' FROM generate_series(0, 9999) i`);
    const leaves = ['h0', 'h1', 'h2', 'h3', '1', '2', '3', '4', '5', '6', '7', '8', 'rest'].map(
      (leaf) => `many_${leaf}`,
    );
    const ref = newRef();
    const plan = planOf('many', { strategy: 'swap' });
    await Promise.all(leaves.map((leaf) => bring({ ...stage.stores, ref, plan, unit: unitOf(leaf) })));
    expect(await contentOf(target, 'public.many')).toEqual(await contentOf(source, 'public.many'));
  });

  it('gives up when it is cancelled, and the old table stays with nothing of ours left', async () => {
    const reader = await target.connect();
    await reader.query('BEGIN; LOCK TABLE "Leaf.1" IN ACCESS SHARE MODE');
    const stop = new AbortController();
    const before = await contentOf(target, 'public."Leaf.1"');
    const ref = newRef();
    const loading = bring({
      ...stage.stores,
      ref,
      plan: parted,
      unit: unitOf('Leaf.1'),
      signal: stop.signal,
      onStep: (step) => {
        if (step === 'swapping') setTimeout(() => stop.abort(), 300);
      },
    });
    await expect(loading).rejects.toMatchObject({ name: 'SynclineError' });
    await reader.query('COMMIT');
    expect(await contentOf(target, 'public."Leaf.1"')).toEqual(before);
    expect(
      await target.query(`SELECT relname FROM pg_class WHERE relname LIKE 'x\\_%' AND relkind = 'r'`),
    ).toEqual([]);
    expect(await target.query(`SELECT * FROM syncline.ledger WHERE job = $1`, [ref.job])).toEqual([]);
  });
});
