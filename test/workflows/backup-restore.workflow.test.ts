import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BackupRestoreInput } from '../../definitions/contracts/backup-restore.ts';
import type { ResolvedBackupRestoreJob } from '../../definitions/contracts/job.ts';
import { workflowIdOf } from '../../definitions/contracts/names.ts';
import type { backupRestore } from '../../workflows/backup-restore.ts';
import { statusQuery } from '../../workflows/messages.ts';
import { eventually } from '../support/eventually.ts';
import { FakeBackup } from '../support/fake-backup-activities.ts';
import { slicedChunks, wholeChunks } from '../support/fake-copy-activities.ts';
import { temporalAddress, workflowBundle } from '../support/temporal.ts';
import { backupJobOf as jobOf, failureTypeOf, onFailure, Stage, statusWhen } from './harness.ts';

let stage: Stage;

beforeEach(async () => {
  stage = await Stage.open(temporalAddress(), workflowBundle());
});

afterEach(async () => {
  await stage.close();
});

async function start(
  job: ResolvedBackupRestoreJob,
  more: Partial<BackupRestoreInput> = {},
): Promise<WorkflowHandle<typeof backupRestore>> {
  return await stage.client.workflow.start<typeof backupRestore>('backupRestore', {
    workflowId: workflowIdOf('backup-restore', job.name),
    taskQueue: stage.taskQueue,
    args: [{ job, definitionHash: 'test', intent: 'run', ...more }],
  });
}

const threeStages = [
  ...['prepare backup', 'finish backup', 'prepare transfer'],
  ...['finish transfer', 'prepare restore', 'finish restore'],
];

describe('a backup-restore without trouble', () => {
  it('runs its stages one after another with the same backup, each unit once', async () => {
    const fake = new FakeBackup(slicedChunks([2, 0]));
    await stage.startWorker(fake);
    const result = await (await start(jobOf())).result();
    expect(fake.calls).toEqual(threeStages);
    for (const { committed, repeats } of Object.values(fake.stages))
      expect([committed, repeats]).toEqual([4, 0]);
    expect(result).toMatchObject({ state: 'done', backup: 'b1', chunks: { total: 4, done: 4, skipped: 0 } });
    expect(result.stages.map(({ stage: name, state, backup }) => [name, state, backup])).toEqual([
      ['backup', 'done', 'b1'],
      ['transfer', 'done', 'b1'],
      ['restore', 'done', 'b1'],
    ]);
    expect(fake.inputs.map(({ verified }) => verified)).toEqual([false, false, true]);
  });

  it('runs a part of the stages only, and lets the first one choose the backup', async () => {
    const fake = new FakeBackup(wholeChunks(3));
    await stage.startWorker(fake);
    const result = await (await start(jobOf({ stages: ['restore'] }))).result();
    expect(fake.calls).toEqual(['prepare restore', 'finish restore']);
    expect(fake.inputs[0]).toMatchObject({ backup: null, verified: false });
    expect(result.stages).toHaveLength(1);
  });

  it('restores one backup after another while more of them wait', async () => {
    const fake = new FakeBackup(wholeChunks(1), { waiting: 3 });
    await stage.startWorker(fake);
    const result = await (await start(jobOf({ stages: ['restore'] }))).result();
    expect(fake.inputs.map(({ backup }) => backup)).toEqual([null, null, null]);
    expect(result.stages.map(({ backup }) => backup)).toEqual(['b1', 'b2', 'b3']);
  });

  it('moves every backup that waits, and lets the restore find out which of them it needs', async () => {
    const fake = new FakeBackup(wholeChunks(1), { waiting: 2 });
    await stage.startWorker(fake);
    const result = await (await start(jobOf({ stages: ['transfer', 'restore'] }))).result();
    expect(fake.inputs).toMatchObject([
      { backup: null },
      { backup: null },
      { backup: null, verified: false },
    ]);
    expect(result.stages.map(({ stage: name }) => name)).toEqual(['transfer', 'transfer', 'restore']);
  });

  it('tells of every stage while it runs', async () => {
    const fake = new FakeBackup(wholeChunks(3));
    fake.stages.transfer.hold(2);
    await stage.startWorker(fake);
    const handle = await start(jobOf());
    const status = await statusWhen(
      handle,
      ({ chunks, stage: at }) => at === 'transfer' && chunks.done === 2,
    );
    expect(status).toMatchObject({ kind: 'backup-restore', phase: 'load', state: 'running' });
    expect(status.stages?.map(({ stage: name, state, chunks }) => [name, state, chunks.done])).toEqual([
      ['backup', 'done', 3],
      ['transfer', 'running', 2],
      ['restore', 'waiting', 0],
    ]);
    fake.stages.transfer.release(2);
    await handle.result();
  });

  it('goes on in a new run where it was', async () => {
    const fake = new FakeBackup(wholeChunks(450));
    await stage.startWorker(fake);
    const handle = await start(jobOf({ run: { ...jobOf().run, parallel: 50 } }));
    const { runId } = await handle.describe();
    const result = await handle.result();
    expect((await stage.client.workflow.getHandle(handle.workflowId).describe()).runId).not.toBe(runId);
    expect(fake.calls).toEqual(threeStages);
    expect(result.stages.map(({ chunks }) => chunks.done)).toEqual([450, 450, 450]);
    for (const { repeats } of Object.values(fake.stages)) expect(repeats).toBe(0);
  });
});

describe('the watermark of a backup-restore', () => {
  it('moves when the last stage is over', async () => {
    const fake = new FakeBackup(wholeChunks(2));
    fake.stages.restore.hold(2);
    await stage.startWorker(fake);
    const handle = await start(jobOf());
    await eventually(() => fake.stages.restore.isReached(2));
    expect(fake.watermark).toBeNull();
    fake.stages.restore.release(2);
    await handle.result();
    expect(fake.watermark).toBe('2026-01-02T00:00:00.000Z');
  });

  it('stays when a stage set something aside', async () => {
    const fake = new FakeBackup(wholeChunks(3));
    fake.stages.transfer.failUnit(2, 'artifact.corrupt');
    await stage.startWorker(fake);
    const result = await (await start(jobOf({ onFailure: onFailure('skip') }))).result();
    expect(fake.watermark).toBeNull();
    expect(result.skipped).toMatchObject([{ ordinal: 2, code: 'artifact.corrupt' }]);
  });
});

describe('one snapshot for the whole backup', () => {
  const job = (): ResolvedBackupRestoreJob => {
    const { backup } = jobOf();
    return jobOf({ backup: { ...backup, consistency: 'snapshot' } });
  };

  it('is held until the backup is published, and no longer', async () => {
    const fake = new FakeBackup(wholeChunks(3));
    fake.stages.transfer.hold(1);
    await stage.startWorker(fake);
    const handle = await start(job());
    await eventually(() => fake.stages.transfer.isReached(1));
    expect(fake.snapshot).toBe('released');
    fake.stages.transfer.release(1);
    expect((await handle.result()).state).toBe('done');
  });

  it('ends the job with the reason when it is lost', async () => {
    const fake = new FakeBackup(wholeChunks(3));
    fake.stages.backup.hold(2);
    await stage.startWorker(fake);
    const handle = await start(job());
    await eventually(() => fake.stages.backup.isReached(2));
    fake.loseSnapshot();
    expect(await failureTypeOf(handle)).toBe('source.snapshotLost');
    expect(fake.calls).toEqual(['prepare backup']);
  });
});

describe('a log that brings the whole backup to one instant', () => {
  const job = (more: Partial<ResolvedBackupRestoreJob> = {}): ResolvedBackupRestoreJob => {
    const { backup, ...rest } = jobOf(more);
    return { ...rest, backup: { ...backup, consistency: 'cut', maxLogBytes: 1e9 } };
  };

  it('is kept from before the first chunk until all are cut, and dropped before the next stage', async () => {
    const fake = new FakeBackup(wholeChunks(3));
    fake.stages.transfer.hold(1);
    await stage.startWorker(fake);
    const handle = await start(job());
    await eventually(() => fake.stages.transfer.isReached(1));
    expect(fake.log).toBe('dropped');
    expect([...fake.calls.slice(0, 2)].sort()).toEqual(['keep log', 'prepare backup']);
    expect(fake.calls.slice(2)).toEqual(['cut', 'finish backup', 'prepare transfer']);
    fake.stages.transfer.release(1);
    expect((await handle.result()).state).toBe('done');
  });

  it('ends the job with the reason when it is lost, and leaves nothing at the source', async () => {
    const fake = new FakeBackup(wholeChunks(3));
    fake.stages.backup.hold(2);
    await stage.startWorker(fake);
    const handle = await start(job());
    await eventually(() => fake.stages.backup.isReached(2));
    fake.loseLog();
    expect(await failureTypeOf(handle)).toBe('log.slotLost');
    expect(fake.calls).not.toContain('cut');
    expect(fake.log).toBe('dropped');
  });

  it('goes on over many runs, and is begun anew by retry', async () => {
    const fake = new FakeBackup(wholeChunks(450));
    await stage.startWorker(fake);
    const handle = await start(job({ stages: ['backup'], run: { ...jobOf().run, parallel: 300 } }));
    const { runId } = await handle.describe();
    expect((await handle.result()).state).toBe('done');
    const last = await stage.client.workflow.getHandle(handle.workflowId).describe();
    expect(last.runId).not.toBe(runId);
    expect(fake.calls.filter((call) => call === 'cut')).toHaveLength(1);
    expect(fake.calls.filter((call) => call === 'keep log').length).toBeGreaterThan(1);
    await (await start(job({ stages: ['backup'] }), { intent: 'retry' })).result();
    expect(fake.calls.filter((call) => call === 'prepare backup')).toHaveLength(2);
    expect(fake.log).toBe('dropped');
  });
});

describe('a backup-restore under control', () => {
  it('is taken up by retry in the stage where it stopped', async () => {
    const fake = new FakeBackup(wholeChunks(4));
    fake.stages.restore.failUnit(3, 'target.constraint');
    await stage.startWorker(fake);
    const job = jobOf({ onFailure: onFailure('skip') });
    expect((await (await start(job)).result()).skipped).toHaveLength(1);
    fake.stages.restore.cure(3);
    const again = await (await start(job, { intent: 'retry' })).result();
    expect(again).toMatchObject({ skipped: [], chunks: { done: 4, skipped: 0 } });
    expect(fake.calls.slice(threeStages.length)).toEqual([
      ...['latest backup', 'finish backup', 'latest transfer', 'finish transfer'],
      ...['latest restore', 'finish restore'],
    ]);
    expect(fake.watermark).toBe('2026-01-02T00:00:00.000Z');
  });

  it('takes up its latest backup only once: what waits after it is new', async () => {
    const fake = new FakeBackup(wholeChunks(2));
    await stage.startWorker(fake);
    const job = jobOf({ stages: ['restore'] });
    await (await start(job)).result();
    fake.arrive(3);
    await (await start(job, { intent: 'retry' })).result();
    expect(fake.calls.slice(2)).toEqual([
      ...['latest restore', 'finish restore', 'prepare restore', 'finish restore'],
      ...['prepare restore', 'finish restore'],
    ]);
  });

  it('fails with job.notFound when there is nothing to retry', async () => {
    await stage.startWorker(new FakeBackup(wholeChunks(1)));
    expect(await failureTypeOf(await start(jobOf(), { intent: 'retry' }))).toBe('job.notFound');
  });

  it('is paused and resumed within a stage', async () => {
    const fake = new FakeBackup(wholeChunks(6));
    fake.stages.backup.hold(3);
    await stage.startWorker(fake);
    const handle = await start(jobOf());
    await eventually(() => fake.stages.backup.isReached(3));
    await handle.executeUpdate('pause', { args: [{}] });
    expect(await handle.query(statusQuery)).toMatchObject({ state: 'paused', stage: 'backup' });
    fake.stages.backup.release(3);
    await handle.executeUpdate('resume');
    expect((await handle.result()).stages.map(({ chunks }) => chunks.done)).toEqual([6, 6, 6]);
  });

  it('cleans up every stage when it is removed, also when one side cannot be', async () => {
    const fake = new FakeBackup(wholeChunks(4));
    fake.stages.backup.hold(2);
    fake.stages.transfer.failCall('removeCopy', 'store.permission');
    await stage.startWorker(fake);
    const handle = await start(jobOf());
    await eventually(() => fake.stages.backup.isReached(2));
    await handle.executeUpdate('remove');
    expect(await failureTypeOf(handle)).toBe('store.permission');
    expect([...new Set(fake.removed)]).toEqual(['backup', 'transfer', 'restore']);
  });
});

describe('a stage of another site', () => {
  it('runs on the task queue of its store', async () => {
    const near = new FakeBackup(wholeChunks(2));
    const far = new FakeBackup(wholeChunks(2));
    const queue = `far-${randomUUID()}`;
    await stage.startWorker(near);
    await stage.startWorker(far, { taskQueue: queue });
    await (await start(jobOf(), { queues: { dr: queue } })).result();
    expect(near.calls).toEqual(threeStages.slice(0, 4));
    expect(far.calls).toEqual(threeStages.slice(4));
  });

  it('is waited for, visibly and without using up attempts, while no worker is there', async () => {
    const near = new FakeBackup(wholeChunks(2));
    const far = new FakeBackup(wholeChunks(2));
    const queue = `far-${randomUUID()}`;
    await stage.startWorker(near);
    const handle = await start(jobOf({ onFailure: onFailure('skip', 1) }), { queues: { dr: queue } });
    const waiting = await statusWhen(handle, ({ reasonCode }) => reasonCode === 'job.siteDown', {});
    expect(waiting).toMatchObject({ state: 'running', needsAttention: true, stage: 'restore' });
    expect(waiting.reason).toContain(queue);
    await stage.startWorker(far, { taskQueue: queue });
    expect(await handle.result()).toMatchObject({ state: 'done', skipped: [] });
  });
});
