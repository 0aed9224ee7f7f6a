import { setTimeout as delay } from 'node:timers/promises';
import { describe, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import type { TcpProxy } from '../support/tcp-proxy.ts';
import { sumLedger } from './lab/checks.ts';
import { expectRightEnd } from './lab/right-end.ts';
import { type Rig, withRig } from './lab/rig.ts';
import { sharedPlace } from './lab/shared-place.ts';
import { type Shape, shapes } from './lab/shape.ts';

const sides = ['source', 'target', 'temporal'] as const;

interface Fault {
  readonly fault: string;
  readonly act: (network: TcpProxy) => Promise<void>;
}

const faults: readonly Fault[] = [
  {
    fault: 'closed and refused for two seconds',
    act: async (network) => {
      network.cut();
      await delay(2_000);
      network.heal();
    },
  },
  {
    fault: 'reset, three times',
    act: async (network) => {
      for (let times = 0; times < 3; times += 1) {
        network.reset();
        await delay(400);
      }
    },
  },
  {
    fault: 'silent for three seconds',
    act: async (network) => {
      network.pause();
      await delay(3_000);
      network.heal();
    },
  },
];

const cases = sides.flatMap((side) => faults.map((fault) => ({ side, ...fault })));

describe.concurrent('when the network of a worker breaks', () => {
  it.for(cases)('to the $side, $fault, a sliced replace ends right', async ({ side, act }) => {
    await expectRightEndAfter({ ...shapes.sliced, throttle: '1MB/s' }, async (rig) => {
      await act(rig.network[side]);
      return 4 * rig.shape.parallel;
    });
  });

  it.for(['up', 'down'] as const)(
    'in the middle of a COPY, data going %s to and from both servers, an append adds every row once',
    async (direction) => {
      await expectRightEndAfter({ ...shapes.append, throttle: '1MB/s' }, async (rig) => {
        rig.network.source.resetAfter(300_000, direction === 'up' ? 'down' : 'up');
        rig.network.target.resetAfter(direction === 'up' ? 300_000 : 2_000, direction);
        await delay(1_000);
        return 6 * rig.shape.parallel;
      });
    },
  );

  it('to Temporal only, for longer than a heartbeat may be missing, another worker takes over and nothing is done twice', async () => {
    await withRig(sharedPlace(), shapes.append, async (rig) => {
      // The first worker stands still with rows in its open transactions when Temporal gives it up.
      await rig.startWorker({ SYNCLINE_FAULT: 'load.copied:hang:1,load.copied:hang:2' });
      const run = await rig.submit();
      await eventually(async () => (await openTransactions(rig)) === 2);
      rig.network.temporal.cut();
      await rig.startWorkerElsewhere();
      await eventually(
        async () => (await sumLedger(rig.target, rig.name)).units === rig.shape.rows.length,
        {},
      );
      rig.network.temporal.heal();
      await expectRightEnd(rig, run, { unitsInterrupted: 2 * rig.shape.parallel });
    });
  });
});

/** `fault` answers how many units it may have interrupted. */
async function expectRightEndAfter(shape: Shape, fault: (rig: Rig) => Promise<number>): Promise<void> {
  await withRig(sharedPlace(), shape, async (rig) => {
    await rig.startWorker();
    const run = await rig.submit();
    await eventually(async () => (await sumLedger(rig.target, rig.name)).units > 0, { everyMs: 20 });
    const unitsInterrupted = await fault(rig);
    await expectRightEnd(rig, run, { unitsInterrupted });
  });
}

async function openTransactions(rig: Rig): Promise<number> {
  const [row] = await rig.target.query<{ open: string }>(
    `SELECT count(*) AS open FROM pg_stat_activity
      WHERE datname = current_database() AND state = 'idle in transaction'`,
  );
  return Number(row?.open);
}
