import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { openSessions, stagingTables, sumLedger } from './lab/checks.ts';
import { expectNoSessions, expectRightEnd } from './lab/right-end.ts';
import { withRig } from './lab/rig.ts';
import { sharedPlace } from './lab/shared-place.ts';
import { shapes, type WayName } from './lab/shape.ts';

const points = ['load.mid', 'load.copied', 'swap.beforeCommit', 'swap.afterCommit'] as const;

interface Case {
  readonly way: WayName;
  readonly load: string;
  /** How often each worker passes its point before it dies there. */
  readonly nth: number;
}

const cases: readonly Case[] = [
  { way: 'exchange', load: 'A replace by exchange', nth: 1 },
  { way: 'inPlace', load: 'A replace in place', nth: 2 },
  { way: 'sliced', load: 'A replace in slices', nth: 2 },
  { way: 'append', load: 'An append', nth: 2 },
  { way: 'upsert', load: 'An upsert in slices', nth: 2 },
];

describe.concurrent('when workers are killed with kill -9', () => {
  it.for(cases)(
    '$load goes on with the next worker from every point, and only what was in flight is copied again',
    async ({ way, nth }) => {
      await withRig(sharedPlace(), shapes[way], async (rig) => {
        const run = await rig.submit();
        for (const point of points) {
          const worker = await rig.startWorker({ SYNCLINE_FAULT: `${point}:kill:${nth}` });
          expect(await worker.ended, worker.output()).toBe('SIGKILL');
          const before = await sumLedger(rig.target, rig.name);
          expect(before.units).toBeLessThan(before.planned);
        }
        await rig.startWorker();
        await expectRightEnd(rig, run, { unitsInterrupted: points.length * rig.shape.parallel });
      });
    },
  );

  it.for(cases)('$load in the hands of two workers is finished by the one that lives', async ({ way }) => {
    await withRig(sharedPlace(), { ...shapes[way], throttle: '3MB/s' }, async (rig) => {
      const [doomed] = await Promise.all([rig.startWorker(), rig.startWorker()]);
      const run = await rig.submit();
      await eventually(async () => (await sumLedger(rig.target, rig.name)).units > 0, { everyMs: 20 });
      await doomed.kill();
      await expectRightEnd(rig, run, { unitsInterrupted: rig.shape.parallel });
    });
  });
});

describe.concurrent('when a worker fails or hangs at a point', () => {
  it.for(cases)('$load survives an error at every point, several times', async ({ way }) => {
    await withRig(sharedPlace(), shapes[way], async (rig) => {
      const faults = points.flatMap((point) => [`${point}:error:1`, `${point}:error:3`]);
      await rig.startWorker({ SYNCLINE_FAULT: faults.join(',') });
      const run = await rig.submit();
      await expectRightEnd(rig, run, { unitsInterrupted: faults.length });
    });
  });

  it.for(points)('hanging at %s, a pause takes the unit back and resume does it again', async (point) => {
    await withRig(sharedPlace(), shapes.inPlace, async (rig) => {
      await rig.startWorker({ SYNCLINE_FAULT: `${point}:hang:2` });
      const run = await rig.submit();
      await eventually(async () => (await sumLedger(rig.target, rig.name)).units >= 5, {
        waitingFor: 'all units but the hanging one',
      });
      await run.order('pause');
      await eventually(async () => (await run.status())?.chunks.inFlight === 0);
      expect((await run.status())?.state).toBe('paused');
      await run.order('resume');
      await expectRightEnd(rig, run, { unitsInterrupted: 1 });
    });
  });

  it('hanging in the middle of a swap, remove ends the job and leaves both sides clean', async () => {
    await withRig(sharedPlace(), shapes.exchange, async (rig) => {
      await rig.startWorker({ SYNCLINE_FAULT: 'swap.beforeCommit:hang:1,swap.beforeCommit:hang:2' });
      const run = await rig.submit();
      await eventually(async () => (await openSessions(rig.target)).length > 0);
      await eventually(async () => ((await run.status())?.chunks.inFlight ?? 0) > 0);
      await run.order('remove');
      expect(await run.ended()).toMatchObject({ kind: 'result', result: { state: 'removed' } });
      expect(await stagingTables(rig.target)).toEqual([]);
      expect(await rig.target.query(`SELECT FROM pg_namespace WHERE nspname = 'syncline'`)).toEqual([]);
      await expectNoSessions(rig);
      const [rows] = await rig.target.query<{ rows: string }>('SELECT count(*) AS rows FROM lab.t');
      expect(Number(rows?.rows)).toBe(300);
    });
  });
});
