import type { WorkflowHandle } from '@temporalio/client';
import type { JobStatus } from '../../definitions/contracts/status.ts';
import { eventually } from '../support/eventually.ts';
import { FakeDuplication } from '../support/fake-duplication-activities.ts';
import { slicedChunks, wholeChunks } from '../support/fake-copy-activities.ts';
import { duplicationJobOf, jobOf, linkOf, onFailure, type Stage, statusWhen } from '../workflows/harness.ts';

type Scenario = (stage: Stage) => Promise<WorkflowHandle>;

const follows = ({ links }: JobStatus): boolean => links?.every(({ phase }) => phase === 'log') === true;

/** What the life of a link can bring, for record.ts. */
export const duplicationScenarios: Readonly<Record<string, Scenario>> = {
  /** Load, tables that join, orders that need the link for themselves, promotion. */
  async 'duplication-promoted'(stage) {
    const fake = new FakeDuplication();
    const dr = fake.link('dr');
    dr.plan = slicedChunks([2, 0]);
    dr.different = [{ chunk: 'public.big_2', sourceRows: 2, targetRows: 1 }];
    await stage.startWorker(fake);
    const handle = await stage.duplicate(duplicationJobOf({ name: 'live-promoted' }));
    await statusWhen(handle, follows);
    dr.says.push('tables');
    await statusWhen(handle, ({ chunks }) => chunks.done === 8);
    await handle.executeUpdate('setTable', { args: [{ table: 'public.t', state: 'paused' }] });
    await handle.executeUpdate('setTable', { args: [{ table: 'public.t', state: 'live' }] });
    await handle.executeUpdate('verify', { args: [{ repair: true }] });
    await handle.executeUpdate('resync', { args: [{ table: 'public.t' }] });
    await statusWhen(handle, ({ chunks }) => chunks.done === 16);
    dr.progress = { ...dr.progress, deadTransactions: 1 };
    dr.says.push('trouble');
    await statusWhen(handle, ({ needsAttention }) => needsAttention);
    await handle.executeUpdate('retry', { args: [{ what: 'skipped' }] });
    await handle.executeUpdate('promote', { args: [{}] });
    await handle.result();
    return handle;
  },

  /** Held up in every way while it loads. */
  async 'duplication-held'(stage) {
    const fake = new FakeDuplication();
    const dr = fake.link('dr');
    dr.plan = wholeChunks(4);
    dr.failUnit = { ordinal: 2, code: 'target.constraint' };
    await stage.startWorker(fake);
    const handle = await stage.duplicate(
      duplicationJobOf({ name: 'live-held', onFailure: onFailure('stop') }),
    );
    await statusWhen(handle, ({ state }) => state === 'stopped');
    await eventually(() => dr.count('watchLink') === 1);
    await handle.executeUpdate('skip', { args: [{ unit: 'failing' }] });
    await statusWhen(handle, ({ state, chunks }) => state === 'running' && chunks.skipped === 1);
    await handle.executeUpdate('pause', { args: [{ reason: 'recorded' }] });
    await handle.executeUpdate('setPolicy', { args: [{ mode: 'slow', parallel: 2 }] });
    await handle.executeUpdate('resume');
    await eventually(() => dr.following);
    dr.loads.get('link:1')?.cure(2);
    await handle.executeUpdate('retry', { args: [{ what: 'skipped' }] });
    await statusWhen(handle, follows);
    await handle.executeUpdate('remove', { args: [{ abandon: 'target' }] });
    await handle.result();
    return handle;
  },

  /** The log of a generation is lost, and everything is loaded again; then once more, because somebody asked. */
  async 'duplication-again'(stage) {
    const fake = new FakeDuplication();
    const dr = fake.link('dr');
    dr.fail('followLog', 'store.unreachable', 4);
    await stage.startWorker(fake);
    const handle = await stage.duplicate(duplicationJobOf({ name: 'live-again' }));
    const { runId } = await handle.describe();
    await statusWhen(handle, follows);
    dr.lostGeneration = 1;
    await statusWhen(handle, (status) => follows(status) && status.links?.[0]?.generation === 2);
    await handle.executeUpdate('resync', { args: [{}] });
    await statusWhen(handle, (status) => follows(status) && status.links?.[0]?.generation === 3);
    await handle.executeUpdate('remove');
    await handle.result();
    return stage.client.workflow.getHandle(handle.workflowId, runId);
  },

  /** Two links, of which one is refused and cannot be removed at first. */
  async 'duplication-two-links'(stage) {
    const fake = new FakeDuplication();
    const other = fake.link('other');
    other.fail('beginLink', 'preflight.refused');
    other.fail('removeLink', 'store.permission');
    await stage.startWorker(fake);
    const handle = await stage.duplicate(duplicationJobOf({ name: 'live-twice' }, ['dr', 'other']));
    await statusWhen(handle, (now) => linkOf(now, 'dr')?.phase === 'log' && now.state === 'stopped');
    await handle.executeUpdate('remove', { args: [{ target: 'other' }] });
    await statusWhen(handle, ({ reasonCode }) => reasonCode === 'store.permission');
    other.cure('removeLink');
    await handle.executeUpdate('remove');
    await handle.result();
    return handle;
  },

  async 'duplication-continued'(stage) {
    const fake = new FakeDuplication();
    const dr = fake.link('dr');
    dr.plan = wholeChunks(60);
    await stage.startWorker(fake);
    const handle = await stage.duplicate(duplicationJobOf({ name: 'live-continued' }));
    const { runId } = await handle.describe();
    await statusWhen(handle, follows);
    await handle.executeUpdate('remove');
    await handle.result();
    return stage.client.workflow.getHandle(handle.workflowId, runId);
  },

  /** The log is followed beside a load that fails and is paused, up to a cut. */
  async 'copy-consistent'(stage) {
    const fake = new FakeDuplication();
    const there = fake.link('there');
    there.plan = slicedChunks([2, 0, 0]);
    there.failUnit = { ordinal: 4, code: 'target.constraint' };
    there.fail('followLog', 'store.unreachable', 2);
    await stage.startWorker(fake);
    const handle = await stage.start(jobOf({ name: 'one-instant', consistent: true }));
    await statusWhen(handle, ({ needsAttention }) => needsAttention);
    await handle.executeUpdate('pause', { args: [{}] });
    there.loads.get('link:1')?.cure(4);
    await handle.executeUpdate('resume');
    await handle.result();
    return handle;
  },
};
