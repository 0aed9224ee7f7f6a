import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { reportOf } from './lab/backup-checks.ts';
import { type BackupRig, withBackupRig } from './lab/backup-rig.ts';
import { stagingTables } from './lab/checks.ts';
import { directoryPlace } from './lab/file-place.ts';
import type { JobRun } from './lab/job-run.ts';
import { expectWhole } from './lab/right-backups.ts';
import { expectNoSessions } from './lab/right-end.ts';
import { sharedPlace } from './lab/shared-place.ts';
import { shapes } from './lab/shape.ts';

/** Six chunks; a transfer has two objects more, and counts of one worker go on over its runs. */
const stages = [
  { stage: 'backup', fault: 'backup.mid:hang:9', vault: 1, far: 1 },
  { stage: 'transfer', fault: 'transfer.mid:hang:11', vault: 2, far: 1 },
  { stage: 'restore', fault: 'load.mid:hang:9', vault: 3, far: 2 },
] as const;

describe('remove in the middle', () => {
  it('of each stage ends the job, cleans up both places and both servers, and leaves published backups whole', async () => {
    const places = { vault: await directoryPlace(), far: await directoryPlace() };
    await withBackupRig(sharedPlace(), { shape: shapes.inPlace, ...places }, async (rig) => {
      await rig.startWorker({ SYNCLINE_FAULT: stages.map(({ fault }) => fault).join(',') });
      expect(await (await rig.submit()).ended()).toMatchObject({ result: { state: 'done' } });
      for (const { stage, vault, far } of stages) {
        await rig.source.query('UPDATE lab.t SET qty = qty + 1');
        const run = await rig.submit();
        await hangsIn(run, stage);
        await run.order('remove');
        expect(await run.ended()).toMatchObject({ kind: 'result', result: { state: 'removed' } });
        await expectCleanedUp(rig, { vault, far });
      }
    });
  });
});

async function hangsIn(run: JobRun, stage: string): Promise<void> {
  await eventually(
    async () => {
      const status = await run.status();
      return status?.stage === stage && status.chunks.inFlight === 1 && status.chunks.done >= 5;
    },
    { waitingFor: `a hang in ${stage}` },
  );
}

async function expectCleanedUp(rig: BackupRig, backups: { vault: number; far: number }): Promise<void> {
  for (const place of ['vault', 'far'] as const) {
    const report = await reportOf(rig[place]);
    expectWhole(report, backups[place]);
    expect(report.plans).toEqual([]);
  }
  expect(await stagingTables(rig.target)).toEqual([]);
  expect(await rig.target.query(`SELECT FROM pg_namespace WHERE nspname = 'syncline'`)).toEqual([]);
  await expectNoSessions(rig);
}
