import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import '../support/provided.ts';
import { eventually } from '../support/eventually.ts';
import { type HttpFault, type HttpFaults, startHttpFaults } from '../support/http-faults.ts';
import { type Sshd, startSshd } from '../support/sshd.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { type S3Server, startS3Server } from '../support/versitygw.ts';
import { doneSoFar, receiptsAt, reportOf } from './lab/backup-checks.ts';
import { withBackupRig } from './lab/backup-rig.ts';
import { directoryPlace, s3FilePlace, sftpFilePlace } from './lab/file-place.ts';
import type { JobRun } from './lab/job-run.ts';
import { expectRightBackupEnd } from './lab/right-backups.ts';
import { sharedPlace } from './lab/shared-place.ts';
import { putOnSmallDisk, smallFolder } from './lab/small-disk.ts';
import { type Shape, shapes } from './lab/shape.ts';

async function says(run: JobRun, ...codes: string[]): Promise<void> {
  await eventually(async () => codes.includes((await run.status())?.reasonCode ?? ''), {
    waitingFor: `status ${codes.join(' or ')}`,
  });
}

describe.concurrent('when what a backup stands on gives way', () => {
  let s3: S3Server;
  let faults: HttpFaults;
  let sshd: Sshd;
  let network: TcpProxy;

  beforeAll(async () => {
    [s3, sshd] = await Promise.all([startS3Server(inject('versitygw')), startSshd()]);
    faults = await startHttpFaults(s3.endpoint);
    network = await startTcpProxy({ host: sshd.host, port: sshd.port });
  });

  afterAll(async () => {
    await Promise.all([faults.close(), network.close()]);
    await Promise.all([s3.stop(), sshd.close()]);
  });

  it('a full disk of the vault, then of the target, is said, and with room again the job ends right', async () => {
    const disk = smallFolder();
    // The big partition fits neither disk; the small ones fit both.
    const shape: Shape = { ...shapes.inPlace, rows: [45_000, 2_000, 1_000] };
    const vault = await directoryPlace({ root: disk.folder });
    const { target: serverUrl } = sharedPlace();
    let endOfTarget = (): Promise<void> => Promise.resolve();
    try {
      await withBackupRig(sharedPlace(), { shape, vault, far: await directoryPlace() }, async (rig) => {
        const small = await putOnSmallDisk(rig.target, serverUrl);
        endOfTarget = () => small.end();
        const worker = await rig.startWorker();
        disk.limit(worker.pid);
        const run = await rig.submit();
        await says(run, 'store.diskFull');
        expect(await run.status()).toMatchObject({ stage: 'backup', state: 'running' });
        // The small ones, beside the big one that waits.
        const inVault = await eventually(async () => {
          const done = await doneSoFar(rig);
          return done.size > 0 ? done : null;
        });
        disk.makeRoom(worker.pid);
        await eventually(async () => (await run.status())?.stage === 'restore');
        await says(run, 'store.diskFull');
        const inTarget = await doneSoFar(rig);
        await small.makeRoom();
        await expectRightBackupEnd(rig, run, { before: [inVault, inTarget] });
      });
    } finally {
      await endOfTarget();
      disk.end();
    }
  });

  it('an S3 vault with errors and broken connections, and an SFTP server that is killed, cost a wait', async () => {
    const vault = s3FilePlace(s3, { prefix: 'faulty', endpoint: faults.endpoint });
    const far = sftpFilePlace(sshd, { rsync: false, port: network.port });
    await withBackupRig(sharedPlace(), { shape: shapes.inPlace, vault, far }, async (rig) => {
      const puts = /^PUT [^?]*\/data\//;
      faults.fail({ on: puts, fault: { status: 500, code: 'InternalError' } });
      await rig.startWorker();
      const run = await rig.submit();
      await says(run, 'store.connectionLost');
      faults.fail({ on: puts, fault: { status: 503, code: 'SlowDown' } });
      await says(run, 'store.slowDown');
      network.delay(15);
      await meet(faults, puts, { breakUpAfter: 20_000 });
      await meet(faults, /^GET [^?]*\/data\//, { breakDownAfter: 20_000 });
      await eventually(async () => (await receiptsAt(far)).length > 0, { everyMs: 10 });
      await sshd.kill();
      const before = await doneSoFar(rig);
      await says(run, 'store.unreachable', 'store.connectionLost');
      expect((await run.status())?.stage).toBe('transfer');
      network.heal();
      await sshd.start();
      await expectRightBackupEnd(rig, run, { before: [before] });
    });
  });

  it('rsync brings the objects over, and again only what is new', async () => {
    const vault = await directoryPlace();
    const own = await startSshd();
    try {
      const far = sftpFilePlace(own, { rsync: true });
      const shape = { ...shapes.inPlace, rows: [3_000, 2_000] };
      await withBackupRig(sharedPlace(), { shape, vault, far }, async (rig) => {
        // An object that came by stream would be the end of the worker.
        const worker = await rig.startWorker({ SYNCLINE_FAULT: 'transfer.mid:kill:1' });
        const first = await rig.submit();
        expect(await Promise.race([first.ended(), worker.ended])).toMatchObject({ kind: 'result' });
        await rig.source.query('UPDATE lab.t SET qty = qty + 1 WHERE part = 1');
        await expectRightBackupEnd(rig, await rig.submit(), { before: [], backups: 2 });
        expect((await reportOf(far)).backups).toEqual((await reportOf(vault)).backups);
      });
    } finally {
      await own.close();
    }
  });

  it('a far site without worker makes the job wait and say so; its worker needs neither source nor vault', async () => {
    const places = { vault: await directoryPlace(), far: await directoryPlace() };
    const options = {
      shape: shapes.inPlace,
      ...places,
      queues: (taskQueue: string) => ({ target: `${taskQueue}-dr` }),
    };
    await withBackupRig(sharedPlace(), options, async (rig) => {
      await rig.startSite(['source', 'vault', 'far'], rig.taskQueue);
      const run = await rig.submit();
      await says(run, 'job.siteDown');
      expect(await run.status()).toMatchObject({ stage: 'restore', state: 'running' });
      await rig.startSite(['target', 'far'], `${rig.taskQueue}-dr`);
      await expectRightBackupEnd(rig, run, { before: [] });
    });
  });
});

/** Heals after a few requests have met it. */
async function meet(faults: HttpFaults, on: RegExp, fault: HttpFault): Promise<void> {
  faults.fail({ on, fault, times: 3 });
  await eventually(() => faults.met >= 3, {
    waitingFor: `requests ${String(on)}`,
    everyMs: 10,
  });
}
