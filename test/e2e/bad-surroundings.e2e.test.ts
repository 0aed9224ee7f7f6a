import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { describeDatabase, stagingTables, sumLedger } from './lab/checks.ts';
import { expectRightEnd } from './lab/right-end.ts';
import { type Rig, withRig } from './lab/rig.ts';
import { sharedPlace } from './lab/shared-place.ts';
import { type Shape, shapes } from './lab/shape.ts';
import { putOnSmallDisk } from './lab/small-disk.ts';

const oneBig: Shape = { ...shapes.exchange, rows: [70_000], parallel: 1 };
const stopSoon = '{ mode: stop, attempts: 2, backoff: { initial: 50ms, max: 100ms } }';

describe.concurrent('while a job runs', () => {
  it('a full disk stops it with the cure, leaves the target as it was, and it goes on when there is room', async () => {
    const place = sharedPlace();
    await withRig(place, oneBig, async (rig) => {
      const disk = await putOnSmallDisk(rig.target, place.target);
      try {
        const before = await describeDatabase(rig.target);
        await rig.startWorker();
        const run = await rig.submit(stopSoon);
        await eventually(async () => (await run.status())?.state === 'stopped');
        expect(await run.status()).toMatchObject({ needsAttention: true, reasonCode: 'store.diskFull' });
        expect((await run.status())?.reason).toMatch(/lab\.t_0.*53100/);
        expect(await describeDatabase(rig.target)).toEqual(before);
        expect(await stagingTables(rig.target)).toEqual([]);
        await disk.makeRoom();
        await run.order('resume');
        await expectRightEnd(rig, run, { unitsInterrupted: 2 });
      } finally {
        await rig.end();
        await disk.end();
      }
    });
  });

  it('a partition that is dropped is one clear error, and the others are copied', async () => {
    await whileFirstUnitWaits(
      async (rig) => {
        await rig.source.query('DROP TABLE lab.t_5');
      },
      async (rig, run) => {
        const outcome = await run.ended();
        expect(outcome).toMatchObject({
          kind: 'result',
          result: {
            chunks: { total: 6, done: 5, skipped: 1 },
            skipped: [{ chunk: 'lab.t_5', code: 'source.chunkChanged' }],
          },
        });
        const [kept] = await rig.target.query<{ rows: string }>('SELECT count(*) AS rows FROM lab.t_5');
        expect(Number(kept?.rows)).toBe(100);
      },
    );
  });

  it('a partition that is added is a warning that names it', async () => {
    await whileFirstUnitWaits(
      async (rig) => {
        await rig.source.query('CREATE TABLE lab.t_late PARTITION OF lab.t FOR VALUES IN (99)');
        await rig.source.query(`INSERT INTO lab.t VALUES (1, 99, 1, now(), 'late')`);
      },
      async (rig, run) => {
        const outcome = await run.ended();
        expect(outcome).toMatchObject({ kind: 'result', result: { state: 'done', chunks: { done: 6 } } });
        expect(JSON.stringify(outcome)).toContain('lab.t_late appeared after the plan was made');
        expect((await sumLedger(rig.target, rig.name)).units).toBe(6);
      },
    );
  });
});

type Run = Awaited<ReturnType<Rig['submit']>>;

/** One unit at a time, the first of which hangs until the surroundings have changed. */
async function whileFirstUnitWaits(
  change: (rig: Rig) => Promise<void>,
  judge: (rig: Rig, run: Run) => Promise<void>,
): Promise<void> {
  await withRig(sharedPlace(), { ...shapes.inPlace, parallel: 1 }, async (rig) => {
    await rig.startWorker({ SYNCLINE_FAULT: 'load.copied:hang:1' });
    const run = await rig.submit('{ mode: skip, attempts: 2, backoff: { initial: 50ms, max: 100ms } }');
    await eventually(async () => ((await run.status())?.chunks.inFlight ?? 0) > 0);
    await change(rig);
    await run.order('pause');
    await eventually(async () => (await run.status())?.chunks.inFlight === 0);
    await run.order('resume');
    await judge(rig, run);
  });
}
