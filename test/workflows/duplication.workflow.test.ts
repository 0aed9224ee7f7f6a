import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { removeUpdate, retryUpdate, statusQuery } from '../../workflows/messages.ts';
import { eventually } from '../support/eventually.ts';
import { FakeDuplication, type FakeLink } from '../support/fake-duplication-activities.ts';
import { slicedChunks, wholeChunks } from '../support/fake-copy-activities.ts';
import { temporalAddress, workflowBundle } from '../support/temporal.ts';
import {
  duplicationJobOf,
  failureTypeOf,
  linkOf,
  onFailure,
  Stage,
  stateKey,
  statusWhen,
} from './harness.ts';

let stage: Stage;
let fake: FakeDuplication;
let dr: FakeLink;

beforeEach(async () => {
  stage = await Stage.open(temporalAddress(), workflowBundle());
  fake = new FakeDuplication();
  dr = fake.link('dr');
});

afterEach(async () => {
  await stage.close();
});

type Handle = Awaited<ReturnType<Stage['duplicate']>>;

async function removed(handle: Handle): Promise<void> {
  await handle.executeUpdate(removeUpdate, { args: [{}] });
  expect((await handle.result()).state).toBe('removed');
}

describe('a duplication', () => {
  it('makes its checkpoint, loads while the log flows, completes the target and follows', async () => {
    await stage.startWorker(fake);
    const handle = await stage.duplicate(duplicationJobOf());
    const status = await statusWhen(handle, ({ phase }) => phase === 'log', 'phase log');
    expect(status).toMatchObject({
      kind: 'duplication',
      state: 'running',
      needsAttention: false,
      reason: null,
      consistentAt: '0/C',
      lagMs: 5,
      chunks: { total: 3, done: 3, skipped: 0 },
      links: [{ target: 'dr', phase: 'log', pegasusPhase: 'DS_LOG', generation: 1 }],
    });
    expect(dr.plans).toMatchObject([{ load: 'link:1', only: null, again: false }]);
    expect(dr.calls.slice(0, 3)).toEqual(['beginLink', 'prepareLinkLoad', 'followLog']);
    expect(dr.count('completeLink')).toBe(1);
    await handle.executeUpdate(removeUpdate, { args: [{}] });
    expect(await handle.result()).toMatchObject({
      state: 'removed',
      rows: 30,
      links: [{ target: 'dr', as: 'removed', leftBehind: [] }],
      warnings: ['a warning', 'completed', 'removed'],
    });
    expect((await handle.describe()).typedSearchAttributes.get(stateKey)).toBe('removed');
    expect(dr.overlaps).toBe(0);
  });

  it('follows the log while chunks are being loaded, and completes only when all are there', async () => {
    dr.plan = slicedChunks([2, 0, 0]);
    dr.holdUnit = 3;
    await stage.startWorker(fake);
    const handle = await stage.duplicate(duplicationJobOf());
    const status = await statusWhen(handle, ({ chunks }) => chunks.done === 4 && dr.following);
    expect(linkOf(status, 'dr')).toMatchObject({ phase: 'load', pegasusPhase: 'DS_APP' });
    expect(dr.count('completeLink')).toBe(0);
    dr.releaseUnit();
    await statusWhen(handle, ({ phase }) => phase === 'log', 'phase log');
    await removed(handle);
  });

  it('without a checkpoint follows at once', async () => {
    await stage.startWorker(fake);
    const job = duplicationJobOf();
    const handle = await stage.duplicate({ ...job, load: { ...job.load, checkpoint: false } });
    await statusWhen(handle, ({ phase }) => phase === 'log' && dr.following, 'follows');
    expect(dr.plans).toEqual([]);
    dr.says.push('tables');
    await eventually(() => dr.plans.length === 1);
    expect(dr.plans[0]?.load).toBe('link:1/1');
    await removed(handle);
  });

  it('loads tables that join beside the log, and asks once while it plans', async () => {
    await stage.startWorker(fake);
    const handle = await stage.duplicate(duplicationJobOf());
    await statusWhen(handle, ({ phase }) => phase === 'log', 'phase log');
    dr.plan = wholeChunks(2);
    dr.hold('prepareLinkLoad');
    dr.says.push('tables');
    await eventually(() => dr.count('prepareLinkLoad') === 2 && dr.following);
    expect(dr.follows.at(-1)?.planning).toBe(true);
    dr.release('prepareLinkLoad');
    const status = await statusWhen(handle, ({ chunks }) => chunks.done === 5, 'both loads');
    expect(status.phase).toBe('log');
    expect(dr.plans.at(-1)).toMatchObject({ load: 'link:1/1', only: null, again: false });
    expect(dr.overlaps).toBe(0);
    await removed(handle);
  });

  it('goes on when tables that join are refused, and says so', async () => {
    await stage.startWorker(fake);
    const handle = await stage.duplicate(duplicationJobOf({ onFailure: onFailure('stop') }));
    await statusWhen(handle, ({ phase }) => phase === 'log', 'phase log');
    dr.fail('prepareLinkLoad', 'preflight.refused');
    dr.says.push('tables');
    const status = await statusWhen(handle, ({ needsAttention }) => needsAttention, 'attention');
    expect(status).toMatchObject({ phase: 'log', state: 'running', reasonCode: 'preflight.refused' });
    await eventually(() => dr.following);
    dr.cure('prepareLinkLoad');
    await handle.executeUpdate(retryUpdate, { args: [{ what: 'waiting' }] });
    dr.says.push('tables');
    await statusWhen(handle, ({ reason }) => reason === null, 'the reason is gone');
    await removed(handle);
  });

  it('finds loads again that an earlier workflow left unfinished', async () => {
    dr.later = { next: 4, unfinished: ['link:1/2'] };
    await stage.startWorker(fake);
    const handle = await stage.duplicate(duplicationJobOf());
    await statusWhen(handle, ({ chunks }) => chunks.done === 6, 'both loads');
    expect(dr.plans.map(({ load }) => load)).toEqual(['link:1', 'link:1/2']);
    dr.says.push('tables');
    await eventually(() => dr.plans.length === 3);
    expect(dr.plans[2]?.load).toBe('link:1/4');
    await removed(handle);
  });
});

describe('several targets', () => {
  it('do not hold each other up: one down, one stopped, one that follows', async () => {
    const [down, full] = [fake.link('down'), fake.link('full')];
    down.fail('beginLink', 'store.unreachable');
    full.fail('followLog', 'log.schemaChanged');
    full.fail('watchLink', 'store.unreachable');
    await stage.startWorker(fake);
    const job = duplicationJobOf({ onFailure: onFailure('stop', 1_000) }, ['down', 'dr', 'full']);
    const handle = await stage.duplicate(job);
    const status = await statusWhen(
      handle,
      (now) =>
        linkOf(now, 'dr')?.phase === 'log' &&
        linkOf(now, 'full')?.state === 'stopped' &&
        linkOf(now, 'down')?.needsAttention === true,
      'each in its state',
    );
    expect(linkOf(status, 'dr')).toMatchObject({ state: 'running', needsAttention: false });
    expect(linkOf(status, 'down')).toMatchObject({
      phase: 'checkpoint',
      pegasusPhase: 'DS_PREPARE',
      reasonCode: 'store.unreachable',
    });
    expect(status).toMatchObject({ state: 'stopped', reasonCode: 'log.schemaChanged' });
    expect(status.reason).toMatch(/^full: /u);
    await removed(handle);
    expect([down, dr, full].map(({ removals }) => removals.length)).toEqual([1, 1, 1]);
  });

  it('end one by one, and the job with the last', async () => {
    const other = fake.link('other');
    await stage.startWorker(fake);
    const handle = await stage.duplicate(duplicationJobOf({}, ['dr', 'other']));
    await statusWhen(handle, ({ links }) => links?.every(({ phase }) => phase === 'log') === true);
    await handle.executeUpdate(removeUpdate, { args: [{ target: 'other' }] });
    const status = await statusWhen(handle, (now) => linkOf(now, 'other')?.state === 'removed');
    expect(linkOf(status, 'other')?.pegasusPhase).toBe('DS_REMOVED');
    expect(status).toMatchObject({ state: 'running', phase: 'log' });
    expect(other.removals).toHaveLength(1);
    await removed(handle);
    expect(dr.overlaps + other.overlaps).toBe(0);
  });
});

describe('a refusal', () => {
  it('ends a job of which no link could begin', async () => {
    dr.fail('beginLink', 'preflight.refused');
    await stage.startWorker(fake);
    const handle = await stage.duplicate(duplicationJobOf());
    expect(await failureTypeOf(handle)).toBe('preflight.refused');
  });

  it('of one target stops only its link', async () => {
    fake.link('other').fail('beginLink', 'preflight.refused');
    await stage.startWorker(fake);
    const handle = await stage.duplicate(duplicationJobOf({}, ['dr', 'other']));
    const status = await statusWhen(
      handle,
      (now) => linkOf(now, 'dr')?.phase === 'log' && linkOf(now, 'other')?.state === 'stopped',
    );
    expect(linkOf(status, 'other')).toMatchObject({ reasonCode: 'preflight.refused', needsAttention: true });
    await removed(handle);
  });
});

describe('a cancellation', () => {
  it('ends the work and says that the source keeps its log', async () => {
    await stage.startWorker(fake);
    const handle = await stage.duplicate(duplicationJobOf());
    await statusWhen(handle, ({ phase }) => phase === 'log', 'phase log');
    await handle.cancel();
    expect(await failureTypeOf(handle)).toBe('CancelledFailure');
    const status = await handle.query(statusQuery);
    expect(status).toMatchObject({ state: 'failed', needsAttention: true });
    expect(status.reason).toContain('slots stay');
    expect(dr.following).toBe(false);
    expect(dr.removals).toEqual([]);
  });
});
