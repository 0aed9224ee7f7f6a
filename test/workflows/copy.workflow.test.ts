import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { JobStatus } from '../../definitions/contracts/status.ts';
import { statusQuery } from '../../workflows/messages.ts';
import {
  bytesPerUnit,
  FakeCopy,
  rowsPerUnit,
  slicedChunks,
  wholeChunks,
} from '../support/fake-copy-activities.ts';
import { temporalAddress, workflowBundle } from '../support/temporal.ts';
import { failureTypeOf, jobOf, onFailure, Stage, stateKey, statusWhen } from './harness.ts';

let stage: Stage;

beforeEach(async () => {
  stage = await Stage.open(temporalAddress(), workflowBundle());
});

afterEach(async () => {
  await stage.close();
});

const hasReason = ({ reasonCode }: JobStatus): boolean => reasonCode !== null;

describe('a copy without trouble', () => {
  it('prepares, loads every unit once with at most `parallel` at a time, and finishes', async () => {
    const fake = new FakeCopy(wholeChunks(23));
    await stage.startWorker(fake);
    const result = await (await stage.start(jobOf())).result();
    expect(result).toMatchObject({
      kind: 'copy',
      state: 'done',
      chunks: { total: 23, done: 23, skipped: 0 },
      rows: 23 * rowsPerUnit,
      bytes: 23 * bytesPerUnit,
      skipped: [],
      warnings: ['a warning'],
    });
    expect([fake.committed, fake.repeats]).toEqual([23, 0]);
    expect(fake.mostAtOnce).toBeLessThanOrEqual(4);
    expect(fake.finishInput?.totals).toMatchObject({ unitsDone: 23, rowsRead: 230, rowsWritten: 230 });
  });

  it('finishes an empty plan', async () => {
    await stage.startWorker(new FakeCopy(wholeChunks(0)));
    expect((await (await stage.start(jobOf())).result()).chunks).toEqual({ total: 0, done: 0, skipped: 0 });
  });

  it('says done in query, search attributes and details once it has ended', async () => {
    await stage.startWorker(new FakeCopy(wholeChunks(2)));
    const handle = await stage.start(jobOf());
    await handle.result();
    const status = await handle.query(statusQuery);
    expect(status).toMatchObject({ phase: 'done', state: 'done', needsAttention: false, reason: null });
    expect(status.endedAt).not.toBeNull();
    const { typedSearchAttributes } = await handle.describe();
    expect(typedSearchAttributes.get(stateKey)).toBe('done');
  });

  it('runs without search attributes when the one who started it did not register them', async () => {
    await stage.startWorker(new FakeCopy(wholeChunks(2)));
    const handle = await stage.start(jobOf(), {}, { attributes: false });
    expect((await handle.result()).state).toBe('done');
  });

  it('completes a sliced chunk only after its slices, while later chunks pass', async () => {
    const fake = new FakeCopy(slicedChunks([3, 0, 2]));
    fake.hold(2);
    await stage.startWorker(fake);
    const handle = await stage.start(jobOf());
    await statusWhen(
      handle,
      ({ chunks }) => chunks.done === 6,
      'everything but the held slice and its finish',
    );
    expect(fake.calls).not.toContain('finish public.big_1#finish');
    expect(fake.calls).toContain('finish public.big_3#finish');
    fake.release(2);
    expect((await handle.result()).chunks.done).toBe(8);
    expect(fake.calls.indexOf('finish public.big_1#finish')).toBeGreaterThan(
      fake.calls.indexOf('load public.big_1#2'),
    );
  });

  it('shares the throttle among the calls that can be in flight', async () => {
    const one = new FakeCopy(wholeChunks(1));
    const worker = await stage.startWorker(one);
    const job = jobOf();
    const run = { ...job.run, throttleBytesPerSecond: 1_000 };
    await (await stage.start({ ...job, run })).result();
    expect(one.loadInputs).toMatchObject([{ memoryBytes: 64e6, throttleBytesPerSecond: 1_000 }]);
    await stage.stopWorker(worker);
    const many = new FakeCopy(wholeChunks(20));
    await stage.startWorker(many);
    await (await stage.start({ ...jobOf(), run })).result();
    expect(many.loadInputs[0]).toMatchObject({ memoryBytes: 64e6, throttleBytesPerSecond: 250 });
  });
});

describe('preparing', () => {
  it('fails with the findings when the preflight is refused', async () => {
    const fake = new FakeCopy(wholeChunks(2));
    const finding = {
      severity: 'error',
      code: 'source.noKey',
      table: 't',
      message: 'no key',
      cure: null,
    } as const;
    fake.failCall('prepareCopy', 'preflight.refused', { findings: [finding] });
    await stage.startWorker(fake);
    const handle = await stage.start(jobOf());
    expect(await failureTypeOf(handle)).toBe('preflight.refused');
    await expect(handle.result()).rejects.toMatchObject({ cause: { details: [finding] } });
    expect(fake.calls).not.toContain('listBatches');
  });

  it('is tried again for ever under slow, and says what is wrong', async () => {
    const fake = new FakeCopy(wholeChunks(2));
    fake.failCall('prepareCopy', 'store.authentication');
    await stage.startWorker(fake);
    const handle = await stage.start(jobOf());
    const status = await statusWhen(handle, hasReason);
    expect(status).toMatchObject({ phase: 'init', needsAttention: true, reasonCode: 'store.authentication' });
    fake.cure('prepareCopy');
    expect((await handle.result()).state).toBe('done');
  });

  it('fails the workflow when no attempt can cure it', async () => {
    const fake = new FakeCopy(wholeChunks(2));
    fake.failCall('prepareCopy', 'store.unsupported');
    await stage.startWorker(fake);
    expect(await failureTypeOf(await stage.start(jobOf()))).toBe('store.unsupported');
  });
});

describe('failing units', () => {
  it('are tried again for ever under slow, with attention, while the others go on', async () => {
    const fake = new FakeCopy(wholeChunks(12));
    fake.failUnit(3, 'target.constraint');
    await stage.startWorker(fake);
    const handle = await stage.start(jobOf());
    const status = await statusWhen(
      handle,
      ({ chunks, reasonCode }) => chunks.done === 11 && reasonCode !== null,
    );
    expect(status).toMatchObject({ state: 'running', needsAttention: true, reasonCode: 'target.constraint' });
    expect(status.reason).toContain('public.t_00003');
    fake.cure(3);
    expect((await handle.result()).chunks).toEqual({ total: 12, done: 12, skipped: 0 });
    expect(fake.repeats).toBe(0);
  });

  it('are skipped at once under skip when somebody must fix something first', async () => {
    const fake = new FakeCopy(wholeChunks(5));
    fake.failUnit(2, 'target.constraint');
    await stage.startWorker(fake);
    const result = await (await stage.start(jobOf({ onFailure: onFailure('skip') }))).result();
    expect(result.chunks).toEqual({ total: 5, done: 4, skipped: 1 });
    expect(result.skipped).toMatchObject([{ ordinal: 2, code: 'target.constraint' }]);
    expect(fake.calls.filter((call) => call === 'load public.t_00002')).toHaveLength(1);
  });

  it('have exactly their attempts under skip when a later attempt may succeed', async () => {
    const fake = new FakeCopy(wholeChunks(3));
    fake.failUnit(2, 'store.lockTimeout');
    await stage.startWorker(fake);
    const result = await (await stage.start(jobOf({ onFailure: onFailure('skip', 5) }))).result();
    expect(result.chunks.skipped).toBe(1);
    expect(fake.calls.filter((call) => call === 'load public.t_00002')).toHaveLength(5);
  });

  it('take the finish of their chunk with them when a slice is skipped', async () => {
    const fake = new FakeCopy(slicedChunks([3, 2]));
    fake.failUnit(2, 'verify.countDiffers');
    await stage.startWorker(fake);
    const result = await (await stage.start(jobOf({ onFailure: onFailure('skip') }))).result();
    expect(result.skipped).toMatchObject([
      { ordinal: 2, code: 'verify.countDiffers' },
      { ordinal: 4, code: 'verify.countDiffers' },
    ]);
    expect(fake.calls).not.toContain('finish public.big_1#finish');
  });

  it('leave a batch of many and are tried on their own', async () => {
    const fake = new FakeCopy(wholeChunks(1_000));
    fake.failUnit(7, 'target.constraint');
    fake.failUnit(777, 'store.lockTimeout', 2);
    await stage.startWorker(fake);
    const result = await (await stage.start(jobOf({ onFailure: onFailure('skip') }))).result();
    expect(result.chunks).toEqual({ total: 1_000, done: 999, skipped: 1 });
    expect(fake.repeats).toBe(0);
    expect(fake.calls).toContain('load public.t_00777');
  });

  it('are found one by one when a whole batch fails', async () => {
    const fake = new FakeCopy(wholeChunks(10_000));
    for (let ordinal = 101; ordinal <= 200; ordinal += 1) fake.failUnit(ordinal, 'target.constraint');
    await stage.startWorker(fake);
    const result = await (await stage.start(jobOf({ onFailure: onFailure('skip') }))).result();
    expect(result.chunks).toEqual({ total: 10_000, done: 9_900, skipped: 100 });
    expect([...fake.dead.keys()].toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 100 }, (_, i) => 101 + i),
    );
  });

  it('that cannot be set aside are not counted as skipped before they are on record', async () => {
    const fake = new FakeCopy(wholeChunks(3));
    fake.failUnit(2, 'target.constraint');
    fake.failCall('skipUnit', 'store.connectionLost', { times: 4 });
    await stage.startWorker(fake);
    const result = await (await stage.start(jobOf({ onFailure: onFailure('skip') }))).result();
    expect(result.chunks).toEqual({ total: 3, done: 2, skipped: 1 });
    expect(fake.dead.size).toBe(1);
  });

  it('hold back new work while a server is down', async () => {
    const fake = new FakeCopy(wholeChunks(60));
    for (let ordinal = 1; ordinal <= 60; ordinal += 1) fake.failUnit(ordinal, 'store.unreachable');
    await stage.startWorker(fake);
    const handle = await stage.start(jobOf());
    await statusWhen(handle, ({ needsAttention }) => needsAttention);
    await statusWhen(handle, () => fake.calls.length > 40);
    expect(new Set(fake.calls.filter((call) => call.startsWith('load'))).size).toBeLessThanOrEqual(8);
    for (let ordinal = 1; ordinal <= 60; ordinal += 1) fake.cure(ordinal);
    expect((await handle.result()).chunks.done).toBe(60);
  });
});

describe('a listing or finish that fails', () => {
  it('stops under stop, and goes on after resume', async () => {
    const fake = new FakeCopy(wholeChunks(3));
    fake.failCall('listBatches', 'store.permission');
    await stage.startWorker(fake);
    const handle = await stage.start(jobOf({ onFailure: onFailure('stop') }));
    const status = await statusWhen(handle, ({ state }) => state === 'stopped');
    expect(status).toMatchObject({ phase: 'stopped', reasonCode: 'store.permission' });
    fake.cure('listBatches');
    await handle.executeUpdate('resume');
    expect((await handle.result()).chunks.done).toBe(3);
  });

  it('fails the workflow when the totals do not add up', async () => {
    const fake = new FakeCopy(wholeChunks(3));
    fake.failCall('finishCopy', 'verify.totalsDiffer');
    await stage.startWorker(fake);
    expect(await failureTypeOf(await stage.start(jobOf()))).toBe('verify.totalsDiffer');
  });
});

describe('the intents', () => {
  it('retry loads the dead letters of the latest load and nothing else', async () => {
    const fake = new FakeCopy(slicedChunks([2, 0, 0]));
    fake.failUnit(1, 'target.constraint');
    await stage.startWorker(fake);
    const job = jobOf({ onFailure: onFailure('skip') });
    await (await stage.start(job)).result();
    expect([...fake.dead.keys()].toSorted()).toEqual([1, 3]);
    fake.cure(1);
    const result = await (await stage.start(job, { intent: 'retry' })).result();
    expect(result.chunks).toEqual({ total: 5, done: 5, skipped: 0 });
    expect([fake.dead.size, fake.repeats]).toEqual([0, 0]);
  });

  it('retry fails when there is no load', async () => {
    await stage.startWorker(new FakeCopy(wholeChunks(2)));
    expect(await failureTypeOf(await stage.start(jobOf(), { intent: 'retry' }))).toBe('job.notFound');
  });

  it('remove only cleans up', async () => {
    const fake = new FakeCopy(wholeChunks(2));
    await stage.startWorker(fake);
    const result = await (await stage.start(jobOf(), { intent: 'remove' })).result();
    expect([result.state, fake.removed, fake.calls]).toEqual(['removed', true, ['removeCopy']]);
  });

  it('remove fails with the reason when a side cannot be cleaned up', async () => {
    const fake = new FakeCopy(wholeChunks(2));
    fake.failCall('removeCopy', 'store.permission');
    await stage.startWorker(fake);
    expect(await failureTypeOf(await stage.start(jobOf(), { intent: 'remove' }))).toBe('store.permission');
  });
});
