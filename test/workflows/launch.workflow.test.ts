import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { WorkflowHandle } from '@temporalio/client';
import { workflowIdOf } from '../../definitions/contracts/names.ts';
import type { OverlapRule, ResolvedCopyJob } from '../../definitions/contracts/job.ts';
import type { launch } from '../../workflows/launch.ts';
import { eventually } from '../support/eventually.ts';
import { FakeCopy, wholeChunks } from '../support/fake-copy-activities.ts';
import { temporalAddress, workflowBundle } from '../support/temporal.ts';
import { attributesOf, failureTypeOf, jobOf, Stage, stateKey } from './harness.ts';

let stage: Stage;

beforeEach(async () => {
  stage = await Stage.open(temporalAddress(), workflowBundle());
});

afterEach(async () => {
  await stage.close();
});

function scheduled(overlap: OverlapRule): ResolvedCopyJob {
  return jobOf({ schedule: { cron: '@daily', timezone: 'UTC', overlap, catchupMs: 60_000, paused: false } });
}

let launchers = 0;

async function startLauncher(job: ResolvedCopyJob): Promise<WorkflowHandle<typeof launch>> {
  launchers += 1;
  return await stage.client.workflow.start<typeof launch>('launch', {
    workflowId: `launch/copy/${job.name}-${launchers}`,
    taskQueue: stage.taskQueue,
    args: [{ job, definitionHash: 'test' }],
    typedSearchAttributes: attributesOf(job),
  });
}

describe('a launcher', () => {
  it('runs the job under the id that a run by hand has, due when the launcher started', async () => {
    const fake = new FakeCopy(wholeChunks(2));
    await stage.startWorker(fake);
    const job = scheduled('skip');
    const launcher = await startLauncher(job);
    const child = workflowIdOf('copy', job.name);
    expect(await launcher.result()).toEqual({ outcome: 'ran', child });
    const { startTime } = await launcher.describe();
    expect(fake.prepareInput?.scheduledTime).toBe(startTime.toISOString());
    const { typedSearchAttributes } = await stage.client.workflow.getHandle(child).describe();
    expect(typedSearchAttributes.get(stateKey)).toBe('done');
  });

  it('passes on the time that the schedule meant', async () => {
    const fake = new FakeCopy(wholeChunks(1));
    await stage.startWorker(fake);
    const job = scheduled('skip');
    const schedule = await stage.client.schedule.create({
      scheduleId: `copy/${job.name}`,
      spec: {},
      action: {
        type: 'startWorkflow',
        workflowType: 'launch',
        workflowId: `launch/copy/${job.name}`,
        taskQueue: stage.taskQueue,
        args: [{ job, definitionHash: 'test' }],
      },
    });
    await schedule.trigger();
    const due = await eventually(() => fake.prepareInput?.scheduledTime);
    const [action] = await eventually(async () => {
      const { recentActions } = (await schedule.describe()).info;
      return recentActions.length > 0 ? recentActions : null;
    });
    // The server keeps whole seconds of it in the attribute.
    expect(due).toBe(`${action?.scheduledAt.toISOString().slice(0, 19)}.000Z`);
    await eventually(async () => {
      const { status } = await stage.client.workflow.getHandle(workflowIdOf('copy', job.name)).describe();
      return status.name === 'COMPLETED';
    });
    await schedule.delete();
  });

  it('skips its turn under skip when a run holds the id', async () => {
    const fake = new FakeCopy(wholeChunks(1));
    fake.hold(1);
    await stage.startWorker(fake);
    const job = scheduled('skip');
    const byHand = await stage.start(job);
    expect((await (await startLauncher(job)).result()).outcome).toBe('skipped');
    fake.release(1);
    await byHand.result();
  });

  it('waits under buffer until the id is free', async () => {
    const fake = new FakeCopy(wholeChunks(1));
    fake.hold(1);
    await stage.startWorker(fake);
    const job = scheduled('buffer');
    const byHand = await stage.start(job);
    const launcher = await startLauncher(job);
    await eventually(async () => {
      const { events } = await launcher.fetchHistory();
      return (events ?? []).some(
        ({ timerStartedEventAttributes: timer }) => timer !== null && timer !== undefined,
      );
    });
    fake.release(1);
    await byHand.result();
    expect((await launcher.result()).outcome).toBe('ran');
  });

  it('cancels the older run under cancel, then runs', async () => {
    const fake = new FakeCopy(wholeChunks(1));
    fake.hold(1);
    await stage.startWorker(fake);
    const job = scheduled('cancel');
    const byHand = await stage.start(job);
    await eventually(() => fake.isReached(1));
    const launcher = await startLauncher(job);
    expect(await failureTypeOf(byHand)).toBe('CancelledFailure');
    fake.release(1);
    expect((await launcher.result()).outcome).toBe('ran');
  });

  it('fails with the code that the job failed with', async () => {
    const fake = new FakeCopy(wholeChunks(1));
    fake.failCall('prepareCopy', 'preflight.refused');
    await stage.startWorker(fake);
    expect(await failureTypeOf(await startLauncher(scheduled('skip')))).toBe('preflight.refused');
  });

  it('that is cancelled takes the job with it', async () => {
    const fake = new FakeCopy(wholeChunks(1));
    fake.hold(1);
    await stage.startWorker(fake);
    const job = scheduled('skip');
    const launcher = await startLauncher(job);
    await eventually(() => fake.isReached(1));
    await launcher.cancel();
    await failureTypeOf(launcher);
    const { status } = await stage.client.workflow.getHandle(workflowIdOf('copy', job.name)).describe();
    expect(status.name).toBe('CANCELLED');
  });
});
