import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { sumLedger } from './lab/checks.ts';
import { type OwnPlace, startOwnPlace } from './lab/own-place.ts';
import { expectRightEnd } from './lab/right-end.ts';
import { createRig, type Rig } from './lab/rig.ts';
import { type Shape, shapes } from './lab/shape.ts';

/** Slow enough that a fault meets every load in the middle, fast enough for a test. */
const slowed: readonly Shape[] = [
  { ...shapes.exchange, throttle: '6MB/s' },
  { ...shapes.sliced, throttle: '1MB/s' },
  { ...shapes.append, throttle: '1MB/s' },
  { ...shapes.upsert, throttle: '1MB/s' },
];

describe('when a server is killed with kill -9 while four kinds of load are running', () => {
  let place: OwnPlace;

  beforeAll(async () => {
    place = await startOwnPlace();
  });

  afterAll(async () => {
    await place.stop();
  });

  async function expectRightEndsUnder(fault: () => Promise<void>): Promise<void> {
    const rigs = await Promise.all(slowed.map((shape) => createRig(place, shape)));
    try {
      await Promise.all(rigs.map((rig) => rig.startWorker()));
      const runs = await Promise.all(rigs.map(async (rig) => ({ rig, run: await rig.submit() })));
      await Promise.all(rigs.map(inTheMiddle));
      await fault();
      // What a crash interrupts on one server may be tried, and fail, several times until the server is back.
      for (const { rig, run } of runs) {
        await expectRightEnd(rig, run, { unitsInterrupted: 2 * rig.shape.parallel });
      }
    } finally {
      await Promise.all(rigs.map((rig) => rig.end()));
    }
  }

  async function inTheMiddle(rig: Rig): Promise<void> {
    await eventually(async () => (await sumLedger(rig.target, rig.name)).units > 0, { everyMs: 20 });
  }

  it('and restarted, the source costs only what was in flight', async () => {
    await expectRightEndsUnder(async () => {
      await place.sourceServer.kill();
      await delay(1_000);
      await place.sourceServer.restart();
    });
  });

  it('and restarted, the target loses nothing that the ledger holds', async () => {
    await expectRightEndsUnder(async () => {
      await place.targetServer.kill();
      await delay(1_000);
      await place.targetServer.restart();
    });
  });

  it('and restarted, the Temporal server goes on from its database file', async () => {
    await expectRightEndsUnder(() => place.restartTemporal(() => delay(1_000)));
  });

  it('and restarted, all three at once', async () => {
    await expectRightEndsUnder(async () => {
      await Promise.all([
        place.sourceServer.kill().then(() => place.sourceServer.restart()),
        place.targetServer.kill().then(() => place.targetServer.restart()),
        place.restartTemporal(),
      ]);
    });
  });
});
