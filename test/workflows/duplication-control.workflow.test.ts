import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  pauseUpdate,
  promoteUpdate,
  removeUpdate,
  resumeUpdate,
  resyncUpdate,
  retryUpdate,
  setPolicyUpdate,
  setTableUpdate,
  skipUpdate,
  statusQuery,
  verifyUpdate,
} from '../../workflows/messages.ts';
import { eventually } from '../support/eventually.ts';
import { FakeDuplication, type FakeLink } from '../support/fake-duplication-activities.ts';
import { temporalAddress, workflowBundle } from '../support/temporal.ts';
import { duplicationJobOf, failureTypeOf, linkOf, onFailure, Stage, statusWhen } from './harness.ts';

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
  expect(dr.overlaps).toBe(0);
});

type Handle = Awaited<ReturnType<Stage['duplicate']>>;

async function started(
  job = duplicationJobOf(),
  until: 'log' | 'checkpoint' | 'load' = 'log',
): Promise<Handle> {
  await stage.startWorker(fake);
  const handle = await stage.duplicate(job);
  await statusWhen(handle, ({ phase }) => phase === until, `phase ${until}`);
  return handle;
}

async function removed(handle: Handle): Promise<void> {
  await handle.executeUpdate(removeUpdate, { args: [{}] });
  expect((await handle.result()).state).toBe('removed');
}

const refused = { cause: { type: 'job.refused' } };

describe('pause', () => {
  it('takes load and log back, watches what is kept, and resume goes on with the rest', async () => {
    dr.holdUnit = 2;
    const handle = await started(duplicationJobOf(), 'load');
    await statusWhen(handle, ({ chunks }) => chunks.done === 2);
    await handle.executeUpdate(pauseUpdate, { args: [{ reason: 'maintenance' }] });
    expect(dr.following).toBe(false);
    const paused = await handle.query(statusQuery);
    expect(paused).toMatchObject({ phase: 'paused', state: 'paused', reason: 'maintenance' });
    expect(paused.chunks).toMatchObject({ done: 2, inFlight: 0 });
    expect(linkOf(paused, 'dr')?.pegasusPhase).toBe('DS_PAUSE');
    await eventually(() => dr.count('watchLink') === 1);
    dr.releaseUnit();
    await handle.executeUpdate(resumeUpdate, { args: [{}] });
    await statusWhen(handle, ({ phase }) => phase === 'log');
    await removed(handle);
  });

  it('holds at the checkpoint, too, and without a reason says what is kept', async () => {
    dr.hold('beginLink');
    const handle = await started(duplicationJobOf(), 'checkpoint');
    await eventually(() => dr.isReached('beginLink'));
    await handle.executeUpdate(pauseUpdate, { args: [{}] });
    expect(await handle.query(statusQuery)).toMatchObject({ state: 'paused', reason: 'Paused.' });
    dr.release('beginLink');
    await handle.executeUpdate(resumeUpdate, { args: [{}] });
    await statusWhen(handle, ({ phase }) => phase === 'log');
    await removed(handle);
  });

  it('of one target leaves the other alone, and unknown targets are refused', async () => {
    const other = fake.link('other');
    const handle = await started(duplicationJobOf({}, ['dr', 'other']));
    await handle.executeUpdate(pauseUpdate, { args: [{ target: 'other' }] });
    const status = await handle.query(statusQuery);
    expect(linkOf(status, 'other')?.state).toBe('paused');
    expect(linkOf(status, 'dr')?.state).toBe('running');
    expect([dr.following, other.following]).toEqual([true, false]);
    await expect(handle.executeUpdate(pauseUpdate, { args: [{ target: 'nowhere' }] })).rejects.toMatchObject(
      refused,
    );
    await expect(handle.executeUpdate(resumeUpdate, { args: [{ target: 'dr' }] })).rejects.toMatchObject(
      refused,
    );
    await removed(handle);
  });
});

describe('remove', () => {
  it('wins over a pause, and tells what stays on a side that is abandoned', async () => {
    const handle = await started();
    await handle.executeUpdate(pauseUpdate, { args: [{}] });
    await handle.executeUpdate(removeUpdate, { args: [{ abandon: 'source' }] });
    expect(await handle.result()).toMatchObject({
      state: 'removed',
      links: [{ target: 'dr', as: 'removed', leftBehind: ['The source was not asked.'] }],
    });
    expect(dr.removals).toMatchObject([{ abandon: 'source' }]);
  });

  it('that cannot be completed fails the job with the reason', async () => {
    dr.fail('removeLink', 'store.permission');
    const handle = await started();
    await handle.executeUpdate(removeUpdate, { args: [{}] });
    expect(await failureTypeOf(handle)).toBe('store.permission');
    dr.cure('removeLink');
    const again = await stage.duplicate(
      duplicationJobOf({ name: handle.workflowId.slice('duplication/'.length) }),
      {
        intent: 'remove',
        abandon: 'target',
      },
    );
    expect(await again.result()).toMatchObject({ state: 'removed' });
    expect(dr.removals.at(-1)?.abandon).toBe('target');
  });

  it('of one link that cannot be completed leaves the others, and can be asked for again', async () => {
    const other = fake.link('other');
    other.fail('removeLink', 'store.permission');
    const handle = await started(duplicationJobOf({}, ['dr', 'other']));
    await handle.executeUpdate(removeUpdate, { args: [{ target: 'other' }] });
    const status = await statusWhen(handle, (now) => linkOf(now, 'other')?.state === 'stopped');
    expect(linkOf(status, 'other')).toMatchObject({ needsAttention: true, reasonCode: 'store.permission' });
    expect(linkOf(status, 'dr')?.state).toBe('running');
    await expect(handle.executeUpdate(resumeUpdate, { args: [{ target: 'other' }] })).rejects.toMatchObject(
      refused,
    );
    other.cure('removeLink');
    await handle.executeUpdate(removeUpdate, { args: [{ target: 'other', abandon: 'target' }] });
    await statusWhen(handle, (now) => linkOf(now, 'other')?.state === 'removed');
    await handle.executeUpdate(removeUpdate, { args: [{ target: 'dr' }] });
    const { links } = await handle.result();
    expect(links).toEqual([
      { target: 'dr', as: 'removed', leftBehind: [] },
      { target: 'other', as: 'removed', leftBehind: ['The target was not asked.'] },
    ]);
  });
});

describe('promote', () => {
  it('is refused before the link is consistent', async () => {
    dr.holdUnit = 1;
    const handle = await started(duplicationJobOf(), 'load');
    await eventually(() => dr.following);
    await expect(handle.executeUpdate(promoteUpdate, { args: [{}] })).rejects.toMatchObject({
      cause: { type: 'link.notConsistent' },
    });
    dr.releaseUnit();
    await removed(handle);
  });

  it('follows the log to its end and ends the link, and the job with the last one', async () => {
    const handle = await started();
    await handle.executeUpdate(promoteUpdate, { args: [{}] });
    expect(await handle.result()).toMatchObject({
      state: 'done',
      links: [{ target: 'dr', as: 'promoted', leftBehind: [] }],
    });
    expect(dr.follows.at(-1)?.drain).toBe(true);
    expect(dr.calls.at(-1)).toBe('promoteLink');
    expect(await handle.query(statusQuery)).toMatchObject({
      phase: 'done',
      state: 'done',
      needsAttention: false,
    });
  });
});

describe('resync', () => {
  it('of everything begins the next generation, and what is equal is kept', async () => {
    const handle = await started();
    await handle.executeUpdate(resyncUpdate, { args: [{}] });
    const status = await statusWhen(
      handle,
      ({ phase, links }) => phase === 'log' && links?.[0]?.generation === 2,
      'generation 2',
    );
    expect(status.chunks).toMatchObject({ total: 3, done: 3 });
    expect(dr.plans.at(-1)).toMatchObject({ load: 'link:2', only: null, again: true, generation: 2 });
    await removed(handle);
  });

  it('of a table is planned while nobody follows, and loaded while the log flows', async () => {
    const handle = await started();
    const { message } = await handle.executeUpdate(resyncUpdate, { args: [{ table: 'public.t' }] });
    expect(message).toContain('link:1/1');
    await statusWhen(handle, ({ chunks }) => chunks.done === 6);
    expect(dr.plans.at(-1)).toMatchObject({ load: 'link:1/1', only: ['public.t'], again: true });
    expect(dr.loads.get('link:1/1')?.loadInputs[0]?.onlyChanged).toBe(true);
    await eventually(() => dr.following);
    await removed(handle);
  });

  it('of a name that does not exist is answered', async () => {
    const handle = await started();
    await expect(
      handle.executeUpdate(resyncUpdate, { args: [{ table: 'public.unknown' }] }),
    ).rejects.toMatchObject({ cause: { type: 'link.unknownTable' } });
    await eventually(() => dr.following);
    expect(await handle.query(statusQuery)).toMatchObject({ phase: 'log', reason: null });
    await removed(handle);
  });
});

describe('orders with the link for themselves', () => {
  it('pause a table and take it back in, and the follow is begun anew', async () => {
    const handle = await started();
    await eventually(() => dr.following);
    const before = dr.follows.length;
    await handle.executeUpdate(setTableUpdate, { args: [{ table: 'public.t', state: 'paused' }] });
    expect(linkOf(await handle.query(statusQuery), 'dr')?.progress?.tables).toMatchObject([
      { table: 'public.t', state: 'paused' },
    ]);
    await eventually(() => dr.follows.length > before && dr.following);
    await handle.executeUpdate(setTableUpdate, { args: [{ table: 'public.t', state: 'live' }] });
    expect(linkOf(await handle.query(statusQuery), 'dr')?.progress?.tables).toEqual([]);
    await removed(handle);
  });

  it('verify answers what differs, and with repair loads those chunks again', async () => {
    dr.different = [{ chunk: 'public.t_00002', sourceRows: 10, targetRows: 9 }];
    const handle = await started();
    const plain = await handle.executeUpdate(verifyUpdate, { args: [{ tables: ['public.t'] }] });
    expect(plain.links).toEqual([
      { target: 'dr', verified: { chunks: 3, rows: 30, different: dr.different } },
    ]);
    expect(dr.verifies).toEqual([['public.t']]);
    const repaired = await handle.executeUpdate(verifyUpdate, { args: [{ repair: true }] });
    expect(repaired.message).toContain('loaded again');
    expect(dr.plans.at(-1)).toMatchObject({ load: 'link:1/1', only: ['public.t_00002'], again: true });
    await removed(handle);
  });

  it('are taken back by a pause, and refused while it lasts', async () => {
    dr.hold('verifyLink');
    const handle = await started();
    const verification = handle.executeUpdate(verifyUpdate, { args: [{}] }).catch((error: unknown) => error);
    await eventually(() => dr.isReached('verifyLink'));
    expect(dr.following).toBe(true);
    await handle.executeUpdate(pauseUpdate, { args: [{}] });
    expect(await verification).toMatchObject(refused);
    await expect(handle.executeUpdate(verifyUpdate, { args: [{}] })).rejects.toMatchObject(refused);
    await removed(handle);
  });
});

describe('skip, retry and setPolicy', () => {
  it('set a chunk aside, say that it is missing, and load it after all', async () => {
    dr.failUnit = { ordinal: 2, code: 'target.constraint' };
    const handle = await started(duplicationJobOf(), 'load');
    await statusWhen(handle, ({ reasonCode }) => reasonCode === 'target.constraint');
    await handle.executeUpdate(skipUpdate, { args: [{ unit: 2 }] });
    const status = await statusWhen(handle, ({ chunks }) => chunks.skipped === 1 && chunks.inFlight === 0);
    expect(status).toMatchObject({ phase: 'load', needsAttention: true });
    expect(status.reason).toContain('set aside');
    dr.loads.get('link:1')?.cure(2);
    await handle.executeUpdate(retryUpdate, { args: [{ what: 'skipped' }] });
    const whole = await statusWhen(handle, ({ phase }) => phase === 'log');
    expect(whole.chunks).toMatchObject({ total: 3, done: 3, skipped: 0 });
    await removed(handle);
  });

  it('apply dead transactions after all, with nobody following', async () => {
    const handle = await started();
    await expect(handle.executeUpdate(retryUpdate, { args: [{ what: 'skipped' }] })).rejects.toMatchObject(
      refused,
    );
    dr.progress = { ...dr.progress, deadTransactions: 2 };
    dr.says.push('trouble');
    const status = await statusWhen(handle, ({ needsAttention }) => needsAttention);
    expect(status.reason).toContain('2 transaction(s)');
    const { message } = await handle.executeUpdate(retryUpdate, { args: [{ what: 'skipped' }] });
    expect(message).toContain('2 transaction(s) are applied after all, with 1 conflict(s)');
    await statusWhen(handle, ({ needsAttention }) => !needsAttention);
    await removed(handle);
  });

  it('changes the mode of a follow that is under way', async () => {
    const handle = await started();
    await eventually(() => dr.following);
    await handle.executeUpdate(setPolicyUpdate, { args: [{ mode: 'skip', attempts: 5 }] });
    await eventually(() => dr.follows.at(-1)?.mode === 'skip');
    expect((await handle.query(statusQuery)).onFailure).toEqual({ mode: 'skip', attempts: 5 });
    await expect(handle.executeUpdate(setPolicyUpdate, { args: [{ attempts: 0 }] })).rejects.toMatchObject(
      refused,
    );
    await removed(handle);
  });
});

describe('a log that fails', () => {
  it('is tried again for ever under slow, with a word about it', async () => {
    dr.fail('followLog', 'store.unreachable');
    await stage.startWorker(fake);
    const handle = await stage.duplicate(duplicationJobOf());
    const status = await statusWhen(handle, ({ needsAttention }) => needsAttention);
    expect(status).toMatchObject({ phase: 'load', state: 'running', reasonCode: 'store.unreachable' });
    await eventually(() => dr.count('followLog') > 9);
    dr.cure('followLog');
    await statusWhen(handle, ({ phase, reason }) => phase === 'log' && reason === null);
    await removed(handle);
  });

  it('that is lost begins the next generation by itself under slow, and says why', async () => {
    const handle = await started();
    await eventually(() => dr.following);
    dr.holdUnit = 1;
    dr.lostGeneration = 1;
    const status = await statusWhen(
      handle,
      ({ phase, links }) => phase === 'load' && links?.[0]?.generation === 2,
    );
    expect(status).toMatchObject({ reasonCode: 'log.slotLost', state: 'running' });
    expect(status.reason).toMatch(/^Everything is loaded again: /u);
    dr.releaseUnit();
    await statusWhen(handle, ({ phase, reason }) => phase === 'log' && reason === null);
    expect(dr.plans.at(-1)).toMatchObject({ load: 'link:2', again: true });
    await removed(handle);
  });

  it('that is lost stops under stop, and resume loads again', async () => {
    const handle = await started(duplicationJobOf({ onFailure: onFailure('stop') }));
    await eventually(() => dr.following);
    dr.fail('followLog', 'log.gap', 1);
    dr.says.push('due');
    const status = await statusWhen(handle, ({ state }) => state === 'stopped');
    expect(status).toMatchObject({ needsAttention: true, reasonCode: 'log.gap' });
    expect(dr.count('watchLink')).toBe(0);
    const { message } = await handle.executeUpdate(resumeUpdate, { args: [{}] });
    expect(message).toContain('loaded again');
    await statusWhen(handle, ({ phase, links }) => phase === 'log' && links?.[0]?.generation === 2);
    await removed(handle);
  });

  it('that is lost already when a workflow begins again leads to the next generation, too', async () => {
    dr.fail('beginLink', 'log.slotLost', 1);
    const handle = await started();
    expect(dr.generation).toBe(2);
    await removed(handle);
  });

  it('that keeps too much while the link is paused stops it, and resume loads again', async () => {
    dr.exceeded = true;
    const handle = await started();
    await handle.executeUpdate(pauseUpdate, { args: [{}] });
    const status = await statusWhen(handle, ({ state }) => state === 'stopped');
    expect(status).toMatchObject({ phase: 'stopped', reasonCode: 'log.retentionExceeded' });
    dr.exceeded = false;
    await handle.executeUpdate(resumeUpdate, { args: [{}] });
    await statusWhen(handle, ({ phase, links }) => phase === 'log' && links?.[0]?.generation === 2);
    await removed(handle);
  });
});
