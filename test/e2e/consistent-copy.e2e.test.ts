import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type BaseRig, createBaseRig } from './lab/rig.ts';
import { sharedPlace } from './lab/shared-place.ts';

/** `consistent: true`, from the file to the result, while the source is written to and a worker is killed. */

it('a consistent copy is one instant of its source, whoever is killed meanwhile, and leaves no slot behind', async () => {
  const rig = await createBaseRig(sharedPlace(), { stores: {} });
  const writers = new Writers(rig);
  try {
    await Promise.race([expectOneInstant(rig, writers), rig.crash]);
  } finally {
    await writers.stop();
    await rig.end();
  }
});

async function expectOneInstant(rig: BaseRig, writers: Writers): Promise<void> {
  await rig.source.query(`
    CREATE TABLE public.giver (id int PRIMARY KEY, amount int); CREATE TABLE public.taker (id int PRIMARY KEY, amount int);
    INSERT INTO public.giver SELECT i, 1000 FROM generate_series(1, 20000) i;
    INSERT INTO public.taker SELECT i, 1000 FROM generate_series(1, 20000) i;
    ANALYZE`);
  writers.start(3);
  const first = await rig.startWorker({ SYNCLINE_FAULT: 'batch.beforeCommit:kill:3' });
  const run = await rig.submitText(`
kind: copy
name: ${rig.name}
consistent: true
source: { store: source, tables: [public.giver, public.taker], chunkBytes: 200KB }
target: { store: target, createTables: true }
run: { verify: digest }
`);
  await eventually(() => first.ended);
  await rig.startWorker();
  const outcome = await run.ended();
  expect(outcome).toMatchObject({ kind: 'result', result: { state: 'done', chunks: { skipped: 0 } } });
  if (outcome.kind !== 'result' || !('consistentAt' in outcome.result))
    throw new Error('No instant was said.');
  const [sums] = await rig.target.query<{ given: string; taken: string }>(
    `SELECT (SELECT 20000000 - sum(amount) FROM public.giver) AS given, (SELECT sum(amount) - 20000000 FROM public.taker) AS taken`,
  );
  expect(Number(sums?.given)).toBeGreaterThan(0);
  expect(sums?.taken).toBe(sums?.given);
  const slots = await rig.source.query(
    'SELECT 1 FROM pg_replication_slots WHERE database = current_database()',
  );
  expect(slots).toEqual([]);
}

/** Take one from a giver and give it to a taker, one transaction each, until told to stop. */
class Writers {
  private readonly rig: BaseRig;
  private writing = true;
  private running: Promise<unknown> = Promise.resolve();

  constructor(rig: BaseRig) {
    this.rig = rig;
  }

  start(sessions: number): void {
    this.running = Promise.all(Array.from({ length: sessions }, (_, number) => this.write(number)));
  }

  async stop(): Promise<void> {
    this.writing = false;
    await this.running;
  }

  private async write(number: number): Promise<void> {
    const client = new pg.Client({ connectionString: this.rig.source.url });
    await client.connect();
    for (let turn = 0; this.writing; turn += 1) {
      const id = 1 + ((turn * 7919 + number * 104729) % 20000);
      await client.query(
        `BEGIN; UPDATE public.giver SET amount = amount - 1 WHERE id = ${id};
         UPDATE public.taker SET amount = amount + 1 WHERE id = ${20001 - id}; COMMIT`,
      );
      await delay(2);
    }
    await client.end();
  }
}
