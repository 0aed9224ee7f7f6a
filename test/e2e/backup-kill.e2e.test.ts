import { describe, expect, it } from 'vitest';
import { doneSoFar, type DoneSoFar } from './lab/backup-checks.ts';
import { withBackupRig } from './lab/backup-rig.ts';
import { directoryPlace } from './lab/file-place.ts';
import { expectRightBackupEnd } from './lab/right-backups.ts';
import { sharedPlace } from './lab/shared-place.ts';
import { shapes } from './lab/shape.ts';

/** Each worker dies at its point; the next one goes on from there. */
const chains: readonly { readonly where: string; readonly faults: readonly string[] }[] = [
  {
    where: 'in the middle of an object, between object and receipt, and before the manifest',
    faults: ['backup.mid:kill:3', 'swap.beforeCommit:kill:2', 'backup.beforeManifest:kill'],
  },
  {
    where: 'after a receipt, and in the middle of a transfer',
    faults: ['swap.afterCommit:kill:2', 'transfer.mid:kill:3'],
  },
  {
    where: 'in the restore: in the middle of a chunk, copied, before and after its commit',
    faults: ['load.mid:kill:3', 'load.copied:kill:1', 'swap.beforeCommit:kill:1', 'swap.afterCommit:kill:1'],
  },
];

describe.concurrent('when workers are killed with kill -9', () => {
  it.for(chains)('$where, the next worker goes on with what was in flight', async ({ faults }) => {
    const places = { vault: await directoryPlace(), far: await directoryPlace() };
    await withBackupRig(sharedPlace(), { shape: shapes.inPlace, ...places }, async (rig) => {
      const run = await rig.submit();
      const before: DoneSoFar[] = [];
      for (const fault of faults) {
        const worker = await rig.startWorker({ SYNCLINE_FAULT: fault });
        expect(await worker.ended, worker.output()).toBe('SIGKILL');
        before.push(await doneSoFar(rig));
      }
      expect(Math.max(...before.map((done) => done.size))).toBeGreaterThan(0);
      await rig.startWorker();
      await expectRightBackupEnd(rig, run, { before });
    });
  });
});
