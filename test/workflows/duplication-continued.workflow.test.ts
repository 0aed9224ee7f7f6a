import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  pauseUpdate,
  promoteUpdate,
  removeUpdate,
  resumeUpdate,
  setPolicyUpdate,
  statusQuery,
  verifyUpdate,
} from '../../workflows/messages.ts';
import { startTemporal, type TemporalServer } from '../../worker/local/temporal.ts';
import { eventually } from '../support/eventually.ts';
import { FakeDuplication, type FakeLink } from '../support/fake-duplication-activities.ts';
import { wholeChunks } from '../support/fake-copy-activities.ts';
import { workflowBundle } from '../support/temporal.ts';
import { duplicationJobOf, linkOf, onFailure, Stage, statusWhen } from './harness.ts';

/** A server that asks for a new run every 60 events. */
let server: TemporalServer;
let stage: Stage;
let fake: FakeDuplication;
let dr: FakeLink;

beforeAll(async () => {
  const often = ['--dynamic-config-value', 'limit.historyCount.suggestContinueAsNew=60'];
  server = await startTemporal({ alwaysOwn: true, extraArgs: often });
});

afterAll(async () => {
  await server.stop();
});

beforeEach(async () => {
  stage = await Stage.open(server.address, workflowBundle());
  fake = new FakeDuplication();
  dr = fake.link('dr');
});

afterEach(async () => {
  await stage.close();
  expect(dr.overlaps).toBe(0);
});

type Handle = Awaited<ReturnType<Stage['duplicate']>>;

async function nextRun(handle: Handle, before: string): Promise<void> {
  await eventually(async () => (await handle.describe()).runId !== before);
}

/** Follows that end by themselves until a new run has begun. */
async function untilNextRun(handle: Handle): Promise<void> {
  const { runId } = await handle.describe();
  await eventually(async () => {
    if (dr.says.length < 3) dr.says.push('due');
    return (await handle.describe()).runId !== runId;
  });
}

async function removed(handle: Handle): Promise<void> {
  dr.says.length = 0;
  await handle.executeUpdate(removeUpdate, { args: [{}] });
  expect((await handle.result()).state).toBe('removed');
}

describe('a long life', () => {
  it('loads every unit once over many runs while the log flows', async () => {
    dr.plan = wholeChunks(150);
    await stage.startWorker(fake);
    const handle = await stage.duplicate(duplicationJobOf());
    const { runId } = await handle.describe();
    const status = await statusWhen(handle, ({ phase }) => phase === 'log');
    expect(status.chunks).toMatchObject({ total: 150, done: 150 });
    const load = dr.loads.get('link:1');
    expect(load?.committed).toBe(150);
    expect(load?.repeats).toBe(0);
    expect((await handle.describe()).runId).not.toBe(runId);
    expect(dr.plans).toHaveLength(1);
    expect(new Set(dr.follows.map(({ run }) => run))).toEqual(new Set([runId]));
    await removed(handle);
  });

  it('follows on in a new run, knows its generation, its policy and what was said', async () => {
    await stage.startWorker(fake);
    const handle = await stage.duplicate(duplicationJobOf({ onFailure: onFailure('slow') }));
    await statusWhen(handle, ({ phase }) => phase === 'log');
    dr.lostGeneration = 1;
    await statusWhen(handle, ({ phase, links }) => phase === 'log' && links?.[0]?.generation === 2);
    await handle.executeUpdate(setPolicyUpdate, { args: [{ mode: 'skip', parallel: 2 }] });
    await untilNextRun(handle);
    const status = await statusWhen(handle, ({ phase }) => phase === 'log');
    expect(status).toMatchObject({ onFailure: { mode: 'skip' }, consistentAt: '0/C', chunks: { done: 3 } });
    expect(status.links?.[0]).toMatchObject({ generation: 2 });
    await eventually(() => dr.follows.at(-1)?.mode === 'skip');
    expect(dr.count('beginLink')).toBe(2);
    dr.says.push('tables');
    await eventually(() => dr.plans.at(-1)?.load === 'link:2/1');
    await removed(handle);
  });

  it('stays paused over a new run, and a promotion that was asked for is not forgotten', async () => {
    const other = fake.link('other');
    await stage.startWorker(fake);
    const handle = await stage.duplicate(duplicationJobOf({}, ['dr', 'other']));
    await statusWhen(handle, ({ links }) => links?.every(({ phase }) => phase === 'log') === true);
    await handle.executeUpdate(pauseUpdate, { args: [{ target: 'other' }] });
    await untilNextRun(handle);
    const status = await handle.query(statusQuery);
    expect(linkOf(status, 'other')?.state).toBe('paused');
    dr.says.length = 0;
    dr.hold('followLog');
    await handle.executeUpdate(promoteUpdate, { args: [{ target: 'dr' }] });
    dr.release('followLog');
    await statusWhen(handle, (now) => linkOf(now, 'dr')?.state === 'done');
    await handle.executeUpdate(resumeUpdate, { args: [{ target: 'other' }] });
    await eventually(() => other.following);
    await handle.executeUpdate(removeUpdate, { args: [{}] });
    expect((await handle.result()).links.map(({ as }) => as)).toEqual(['promoted', 'removed']);
  });

  it('begins a new run only after a verification has been answered', async () => {
    await stage.startWorker(fake);
    const handle = await stage.duplicate(duplicationJobOf({}, ['dr', 'other']));
    await statusWhen(handle, ({ links }) => links?.every(({ phase }) => phase === 'log') === true);
    const other = fake.link('other');
    other.hold('verifyLink');
    const verified = handle.executeUpdate(verifyUpdate, { args: [{ target: 'other' }] });
    await eventually(() => other.isReached('verifyLink'));
    const { runId } = await handle.describe();
    await eventually(async () => {
      if (dr.says.length < 3) dr.says.push('due');
      return (await handle.describe()).historyLength > 90;
    });
    expect((await handle.describe()).runId).toBe(runId);
    other.release('verifyLink');
    expect((await verified).message).toContain('equal');
    await nextRun(handle, runId);
    await removed(handle);
  });
});

describe('a worker', () => {
  it('may be replaced at any time, with nothing cached', async () => {
    dr.plan = wholeChunks(20);
    dr.holdUnit = 7;
    const first = await stage.startWorker(fake, { maxCachedWorkflows: 0 });
    const handle = await stage.duplicate(duplicationJobOf());
    // Only what heartbeats is out: another worker takes it over in seconds.
    await statusWhen(handle, ({ chunks }) => chunks.done > 6 && chunks.inFlight === 1 && dr.following);
    await Promise.all([stage.stopWorker(first), stage.startWorker(fake, { maxCachedWorkflows: 0 })]);
    dr.releaseUnit();
    const status = await statusWhen(handle, ({ phase }) => phase === 'log');
    expect(status.chunks).toMatchObject({ total: 20, done: 20 });
    await removed(handle);
  });
});
