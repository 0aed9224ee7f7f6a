import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { doneSoFar, type DoneSoFar, receiptsAt } from './lab/backup-checks.ts';
import { type BackupRig, withBackupRig } from './lab/backup-rig.ts';
import { sumLedger } from './lab/checks.ts';
import { directoryPlace } from './lab/file-place.ts';
import type { JobRun } from './lab/job-run.ts';
import { type OwnPlace, startOwnPlace } from './lab/own-place.ts';
import { expectRightBackupEnd } from './lab/right-backups.ts';
import { shapes } from './lab/shape.ts';

const awayMs = 500;

describe('when a server is killed with kill -9', () => {
  let place: OwnPlace;

  beforeAll(async () => {
    place = await startOwnPlace();
  });

  afterAll(async () => {
    await place.stop();
  });

  it('source and Temporal during the backup, the target during the restore, the job goes on from what was done', async () => {
    const shape = { ...shapes.inPlace, throttle: '2MB/s' };
    const places = { vault: await directoryPlace(), far: await directoryPlace() };
    await withBackupRig(place, { shape, ...places }, async (rig) => {
      await rig.startWorker();
      const run = await rig.submit();
      const before: DoneSoFar[] = [];
      const kill = async (how: () => Promise<void>): Promise<void> => {
        before.push(await doneSoFar(rig));
        await how();
      };
      await doneInVault(rig, 1);
      await kill(async () => {
        await place.sourceServer.kill();
        await delay(awayMs);
        await place.sourceServer.restart();
      });
      await doneInVault(rig, 3);
      expect((await run.status())?.stage).toBe('backup');
      await kill(() => place.restartTemporal(() => delay(awayMs)));
      await doneInTarget(rig, run);
      await kill(async () => {
        await place.targetServer.kill();
        await delay(awayMs);
        await place.targetServer.restart();
      });
      await expectRightBackupEnd(rig, run, { before });
    });
  });
});

async function doneInVault(rig: BackupRig, units: number): Promise<void> {
  await eventually(async () => (await receiptsAt(rig.vault)).length >= units, {
    everyMs: 10,
  });
}

async function doneInTarget(rig: BackupRig, run: JobRun): Promise<void> {
  await eventually(async () => (await run.status())?.stage === 'restore');
  await eventually(async () => (await sumLedger(rig.target, rig.name)).units > 0, {
    everyMs: 20,
  });
}
