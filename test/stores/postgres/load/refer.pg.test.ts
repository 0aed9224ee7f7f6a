import { afterAll, beforeAll, expect, it } from 'vitest';
import { postgresModule } from '../../../../stores/postgres/module.ts';
import type { ChunkTarget, UnitReceipt, UnitWriting } from '../../../../stores/spi/chunk-target.ts';
import type { EarlierLoad } from '../../../../stores/spi/rows.ts';
import type { Store } from '../../../../stores/spi/store.ts';
import { contentOf } from '../../../conformance/streams.ts';
import { bring, newRef, planOf, unitOf } from '../../../conformance/units.ts';
import { createDatabase, runningTransactionsEnd, type TestDatabase } from '../../../support/postgres.ts';

let database: TestDatabase;
let source: Store;
beforeAll(async () => {
  database = await createDatabase();
  source = postgresModule.open('source', {
    kind: 'postgres',
    url: database.url,
    connections: 4,
    connectTimeoutMs: 10_000,
  });
  await database.query(
    `CREATE TABLE public.t (id int, v text); INSERT INTO public.t SELECT i, 'v' FROM generate_series(1, 50) i`,
  );
});
afterAll(async () => {
  await source.close();
  await database.drop();
});

/** Remembers what was read last, as a backup does, and refers to it. */
class Remembering {
  earlier: EarlierLoad | null = null;
  bytes = 0;

  get store(): Store {
    const chunkTarget: Pick<ChunkTarget, 'begin' | 'takesFramed'> = {
      takesFramed: false,
      begin: () => Promise.resolve({ writing: this.writing() }),
    };
    return { ...source, capabilities: { chunkTarget: chunkTarget as ChunkTarget } };
  }

  private writing(): UnitWriting {
    const { earlier } = this;
    const remember = (receipt: Pick<UnitReceipt, 'content'>, rows: number): void => {
      const { content } = receipt;
      this.earlier = content === null || content === undefined ? null : { content, rows };
    };
    return {
      earlier,
      write: async (rows) => {
        this.bytes += (await contentOf(rows.bytes)).length;
        return { rows: 50 };
      },
      refer: (receipt) => {
        remember(receipt, earlier?.rows ?? 0);
        return Promise.resolve({ rows: earlier?.rows ?? 0, bytes: 0, digest: null });
      },
      commit: (receipt) => {
        remember(receipt, receipt.rows);
        return Promise.resolve();
      },
      build: () => Promise.resolve(),
      count: () => Promise.resolve(50),
      digest: () => Promise.resolve(''),
      abort: () => Promise.resolve(),
    };
  }
}

it('a unit is referred to while its rows stay as they are, and read again when they change', async () => {
  const target = new Remembering();
  const unit = unitOf('t');
  const load = async (where: string | null = null): Promise<number> => {
    const plan = planOf('t', { strategy: 'object', where });
    const before = target.bytes;
    await runningTransactionsEnd(database);
    const loaded = await bring({ source, target: target.store, ref: newRef(), plan, unit, verify: 'count' });
    expect(loaded.rows).toBe(50);
    return target.bytes - before;
  };
  expect(await load()).toBeGreaterThan(500);
  expect(await load()).toBe(0);
  expect(await load()).toBe(0);
  await database.query(`UPDATE public.t SET v = 'x' WHERE id = 7`);
  expect(await load()).toBeGreaterThan(500);
  expect(await load()).toBe(0);
  // What a filter means cannot be known later: its rows are read each time.
  expect(await load('true')).toBeGreaterThan(500);
  expect(await load('true')).toBeGreaterThan(500);
});
