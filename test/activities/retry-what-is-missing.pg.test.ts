import { afterAll, beforeAll, expect, it } from 'vitest';
import { copyJob, type LoadStage, openStage } from '../support/load-job.ts';
import { createDatabasePair, type DatabasePair } from '../support/postgres.ts';
import type { UnitBatch } from '../../definitions/contracts/copy.ts';

let databases: DatabasePair;
let stage: LoadStage;

beforeAll(async () => {
  databases = await createDatabasePair();
  stage = openStage(databases);
  await databases.source.query(
    `CREATE TABLE public.big (id int PRIMARY KEY, t text); INSERT INTO public.big SELECT i, repeat('x', 200) FROM generate_series(1, 5000) i;
     CREATE TABLE public.small (id int PRIMARY KEY); INSERT INTO public.small VALUES (1), (2); ANALYZE`,
  );
});
afterAll(async () => {
  await stage.close();
  await databases.drop();
});

async function missing(job: ReturnType<typeof copyJob>): Promise<readonly UnitBatch[]> {
  const prepared = await stage.act((all) =>
    all.latestLoad({ job, run: 'another', scheduledTime: '2026-01-01T00:00:00.000Z' }),
  );
  if (prepared === null) throw new Error('the ledger knows no load');
  const page = await stage.act((all) =>
    all.listBatches({ ref: prepared.ref, after: 0, limit: 100, onlyMissing: true }),
  );
  expect(page.end).toBe(true);
  return page.batches;
}

it('lists what a terminated run did not come to, and nothing once it is loaded', async () => {
  const job = copyJob({ tables: [{ pattern: 'public.*', chunkBytes: 400_000 }] });
  const prepared = await stage.prepare(job);
  const batches = await stage.batches(prepared);
  expect(batches.length).toBeGreaterThan(4);
  const [first, ...rest] = batches;
  if (first === undefined) throw new Error('no batch');
  await stage.load({ job, prepared, batch: first });
  // Here the run dies. Whoever goes on finds the rest under the old run's load.
  const left = await missing(job);
  expect(left.map((batch) => batch.from)).toEqual(rest.map((batch) => batch.from));
  for (const batch of left) await stage.load({ job, prepared, batch });
  expect(await missing(job)).toEqual([]);
  const [{ rows } = { rows: '' }] = await databases.target.query<{ rows: string }>(
    `SELECT (SELECT count(*) FROM public.big) + (SELECT count(*) FROM public.small) AS rows`,
  );
  expect(rows).toBe('5002');
});
