import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { JobStatus } from '../../definitions/contracts/status.ts';
import {
  pauseUpdate,
  removeUpdate,
  resumeUpdate,
  retryUpdate,
  setPolicyUpdate,
  skipUpdate,
  statusQuery,
} from '../../workflows/messages.ts';
import { eventually } from '../support/eventually.ts';
import { FakeCopy, slicedChunks, wholeChunks } from '../support/fake-copy-activities.ts';
import { temporalAddress, workflowBundle } from '../support/temporal.ts';
import { failureTypeOf, jobOf, onFailure, Stage, statusWhen } from './harness.ts';

let stage: Stage;

beforeEach(async () => {
  stage = await Stage.open(temporalAddress(), workflowBundle());
});

afterEach(async () => {
  await stage.close();
});

const isStopped = ({ state }: JobStatus): boolean => state === 'stopped';

describe('pause', () => {
  it('takes back what is in flight, and resume does that part again and the rest', async () => {
    const fake = new FakeCopy(wholeChunks(10));
    fake.hold(3);
    await stage.startWorker(fake);
    const handle = await stage.start(jobOf());
    await statusWhen(handle, ({ chunks }) => chunks.done === 9, 'all but the held unit');
    await handle.executeUpdate(pauseUpdate, { args: [{ reason: 'maintenance' }] });
    expect(await handle.query(statusQuery)).toMatchObject({
      phase: 'paused',
      state: 'paused',
      reason: 'maintenance',
      needsAttention: false,
      chunks: { done: 9, inFlight: 0 },
    });
    fake.release(3);
    await handle.executeUpdate(resumeUpdate, { args: [{}] });
    expect((await handle.result()).chunks.done).toBe(10);
    expect(fake.repeats).toBe(0);
  });

  it('holds while preparing, too', async () => {
    const fake = new FakeCopy(wholeChunks(3));
    fake.hold('prepareCopy');
    await stage.startWorker(fake);
    const handle = await stage.start(jobOf());
    await eventually(() => fake.isReached('prepareCopy'));
    await handle.executeUpdate(pauseUpdate, { args: [{}] });
    expect((await handle.query(statusQuery)).state).toBe('paused');
    fake.release('prepareCopy');
    await handle.executeUpdate(resumeUpdate, { args: [{}] });
    expect((await handle.result()).chunks.done).toBe(3);
  });

  it('is refused when the job is over, and resume when it is not paused', async () => {
    const fake = new FakeCopy(wholeChunks(2));
    fake.hold(1);
    await stage.startWorker(fake);
    const handle = await stage.start(jobOf());
    await expect(handle.executeUpdate(resumeUpdate, { args: [{}] })).rejects.toMatchObject({
      cause: { type: 'job.refused' },
    });
    fake.release(1);
    await handle.result();
    await expect(handle.executeUpdate(pauseUpdate, { args: [{}] })).rejects.toThrow();
  });
});

describe('stop', () => {
  it('lets what is in flight end, waits, and resume gives a fresh budget', async () => {
    const fake = new FakeCopy(wholeChunks(6));
    fake.failUnit(2, 'store.lockTimeout');
    await stage.startWorker(fake);
    const handle = await stage.start(jobOf({ onFailure: onFailure('stop', 4) }));
    const status = await statusWhen(handle, isStopped);
    expect(status).toMatchObject({ phase: 'stopped', needsAttention: true, reasonCode: 'store.lockTimeout' });
    expect(fake.calls.filter((call) => call === 'load public.t_00002')).toHaveLength(4);
    fake.cure(2);
    await handle.executeUpdate(resumeUpdate, { args: [{}] });
    expect((await handle.result()).chunks).toEqual({ total: 6, done: 6, skipped: 0 });
  });

  it('goes on when the failing unit is skipped', async () => {
    const fake = new FakeCopy(wholeChunks(6));
    fake.failUnit(2, 'target.constraint');
    await stage.startWorker(fake);
    const handle = await stage.start(jobOf({ onFailure: onFailure('stop') }));
    await statusWhen(handle, isStopped);
    const refused = handle.executeUpdate(skipUpdate, { args: [{ unit: 5 }] });
    await expect(refused).rejects.toMatchObject({ cause: { type: 'job.refused' } });
    await handle.executeUpdate(skipUpdate, { args: [{ unit: 2 }] });
    const result = await handle.result();
    expect(result.skipped).toMatchObject([{ ordinal: 2, code: 'target.constraint' }]);
    expect(result.chunks.done).toBe(5);
  });

  it('ends by remove', async () => {
    const fake = new FakeCopy(wholeChunks(6));
    fake.failUnit(2, 'target.constraint');
    await stage.startWorker(fake);
    const handle = await stage.start(jobOf({ onFailure: onFailure('stop') }));
    await statusWhen(handle, isStopped);
    await handle.executeUpdate(removeUpdate, { args: [{}] });
    expect((await handle.result()).state).toBe('removed');
    expect(fake.removed).toBe(true);
  });
});

describe('skip and retry', () => {
  it('skip sets aside what fails under slow, its finish too, and retry loads both after all', async () => {
    const fake = new FakeCopy(slicedChunks([2, 0, 0, 0]));
    fake.failUnit(1, 'target.constraint');
    fake.hold(6);
    await stage.startWorker(fake);
    const handle = await stage.start(jobOf());
    await statusWhen(handle, ({ needsAttention, chunks }) => needsAttention && chunks.done === 3);
    await handle.executeUpdate(skipUpdate, { args: [{ unit: 'failing' }] });
    await statusWhen(handle, ({ chunks }) => chunks.skipped === 2, 'slice and finish skipped');
    fake.cure(1);
    await handle.executeUpdate(retryUpdate, { args: [{ what: 'skipped' }] });
    fake.release(6);
    expect((await handle.result()).chunks).toEqual({ total: 6, done: 6, skipped: 0 });
    expect(fake.repeats).toBe(0);
  });

  it('retry tries waiting units at once', async () => {
    const fake = new FakeCopy(wholeChunks(3));
    fake.failUnit(2, 'target.constraint');
    await stage.startWorker(fake);
    const slowly = {
      mode: 'slow',
      attempts: 3,
      backoffInitialMs: 3_600_000,
      backoffMaxMs: 3_600_000,
    } as const;
    const handle = await stage.start(jobOf({ onFailure: slowly }));
    await statusWhen(handle, ({ needsAttention }) => needsAttention);
    fake.cure(2);
    await handle.executeUpdate(retryUpdate, { args: [{ what: 'waiting' }] });
    expect((await handle.result()).chunks.done).toBe(3);
  });

  it('setPolicy changes mode and window of a running job, and refuses nonsense', async () => {
    const fake = new FakeCopy(wholeChunks(8));
    fake.failUnit(2, 'target.constraint');
    fake.hold(8);
    await stage.startWorker(fake);
    const handle = await stage.start(jobOf());
    await statusWhen(handle, ({ needsAttention }) => needsAttention);
    const nonsense = handle.executeUpdate(setPolicyUpdate, { args: [{ parallel: 0 }] });
    await expect(nonsense).rejects.toMatchObject({ cause: { type: 'job.refused' } });
    const policy = { mode: 'skip', attempts: 1, parallel: 2 } as const;
    const { message } = await handle.executeUpdate(setPolicyUpdate, { args: [policy] });
    expect(message).toBe('On failure: skip, 1 attempts; 2 at once.');
    const status = await statusWhen(handle, ({ chunks }) => chunks.skipped === 1);
    expect(status.onFailure).toEqual({ mode: 'skip', attempts: 1 });
    fake.release(8);
    expect((await handle.result()).chunks).toEqual({ total: 8, done: 7, skipped: 1 });
  });
});

describe('remove', () => {
  it('wins over preparing', async () => {
    const fake = new FakeCopy(wholeChunks(3));
    fake.hold('prepareCopy');
    await stage.startWorker(fake);
    const handle = await stage.start(jobOf());
    await eventually(() => fake.isReached('prepareCopy'));
    await handle.executeUpdate(removeUpdate, { args: [{}] });
    expect((await handle.result()).state).toBe('removed');
    expect(fake.calls).toEqual(['prepareCopy', 'removeCopy']);
  });

  it('wins over pause, back-off and what is in flight', async () => {
    const fake = new FakeCopy(wholeChunks(5));
    fake.failUnit(1, 'target.constraint');
    fake.hold(4);
    await stage.startWorker(fake);
    const handle = await stage.start(jobOf());
    await eventually(() => fake.isReached(4));
    await handle.executeUpdate(pauseUpdate, { args: [{}] });
    await handle.executeUpdate(removeUpdate, { args: [{}] });
    expect(await handle.result()).toMatchObject({ state: 'removed' });
    expect((await handle.query(statusQuery)).state).toBe('removed');
  });
});

describe('a cancellation', () => {
  it('ends the work and leaves the ledger', async () => {
    const fake = new FakeCopy(wholeChunks(5));
    fake.hold(4);
    await stage.startWorker(fake);
    const handle = await stage.start(jobOf());
    await statusWhen(handle, ({ chunks }) => chunks.done === 4);
    await handle.cancel();
    expect(await failureTypeOf(handle)).toBe('CancelledFailure');
    expect((await handle.describe()).status.name).toBe('CANCELLED');
    expect([fake.removed, fake.committed]).toEqual([false, 4]);
  });
});

describe('workers', () => {
  it('may be replaced mid-way, with nothing cached', async () => {
    const fake = new FakeCopy(wholeChunks(12));
    fake.hold(5);
    const first = await stage.startWorker(fake, { maxCachedWorkflows: 0 });
    const handle = await stage.start(jobOf());
    await statusWhen(handle, ({ chunks }) => chunks.done === 11);
    await stage.stopWorker(first);
    fake.release(5);
    await stage.startWorker(fake, { maxCachedWorkflows: 0 });
    expect((await handle.result()).chunks.done).toBe(12);
    expect(fake.repeats).toBe(0);
  });
});
