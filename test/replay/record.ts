/**
 * Records the histories that replay.test.ts replays: `npx tsx test/replay/record.ts [name…]`.
 * Record a new one for a new path; never record an old one again to make a test green: it stands for jobs that run.
 */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import type { WorkflowHandle } from '@temporalio/client';
import { bundleWorkflowCode } from '@temporalio/worker';
import { workflowIdOf } from '../../definitions/contracts/names.ts';
import { startTemporal } from '../../worker/local/temporal.ts';
import { eventually } from '../support/eventually.ts';
import { FakeBackup } from '../support/fake-backup-activities.ts';
import { FakeCopy, slicedChunks, wholeChunks } from '../support/fake-copy-activities.ts';
import { duplicationScenarios } from './duplication-scenarios.ts';
import { backupJobOf, jobOf, onFailure, Stage, statusWhen } from '../workflows/harness.ts';

/** Answers the execution to record, whose end has been seen. */
type Scenario = (stage: Stage) => Promise<WorkflowHandle>;

async function settled(handle: WorkflowHandle): Promise<WorkflowHandle> {
  await handle.result().catch(() => undefined);
  return handle;
}

function named(name: string): ReturnType<typeof jobOf> {
  return jobOf({ name, onFailure: onFailure('skip') });
}

const scenarios: Readonly<Record<string, Scenario>> = {
  async 'copy-done'(stage) {
    await stage.startWorker(new FakeCopy(slicedChunks([2, 0, 3, 0])));
    return await settled(await stage.start(named('done')));
  },

  async 'copy-skip-and-retry'(stage) {
    const fake = new FakeCopy(slicedChunks([2, 0, 0]));
    fake.failUnit(1, 'target.constraint');
    fake.failUnit(4, 'store.conflict', 4);
    fake.hold(5);
    await stage.startWorker(fake);
    const handle = await stage.start(named('skip-and-retry'));
    await statusWhen(handle, ({ chunks }) => chunks.skipped === 2);
    fake.cure(1);
    await handle.executeUpdate('retry', { args: [{ what: 'skipped' }] });
    fake.release(5);
    return await settled(handle);
  },

  async 'copy-pause-resume'(stage) {
    const fake = new FakeCopy(wholeChunks(6));
    fake.hold(3);
    await stage.startWorker(fake);
    const handle = await stage.start(named('pause-resume'));
    await eventually(() => fake.isReached(3));
    await handle.executeUpdate('pause', { args: [{ reason: 'recorded' }] });
    fake.release(3);
    await handle.executeUpdate('resume');
    return await settled(handle);
  },

  async 'copy-stop-resume'(stage) {
    const fake = new FakeCopy(wholeChunks(4));
    fake.failUnit(2, 'target.constraint');
    await stage.startWorker(fake);
    const handle = await stage.start(jobOf({ name: 'stop-resume', onFailure: onFailure('stop') }));
    await statusWhen(handle, ({ state }) => state === 'stopped');
    await handle.executeUpdate('setPolicy', { args: [{ mode: 'slow' }] });
    await handle.executeUpdate('resume');
    await statusWhen(handle, ({ state, needsAttention }) => state === 'running' && needsAttention);
    await handle.executeUpdate('skip', { args: [{ unit: 'failing' }] });
    return await settled(handle);
  },

  async 'copy-remove'(stage) {
    const fake = new FakeCopy(wholeChunks(4));
    fake.hold(2);
    await stage.startWorker(fake);
    const handle = await stage.start(named('remove'));
    await eventually(() => fake.isReached(2));
    await handle.executeUpdate('remove');
    return await settled(handle);
  },

  async 'copy-cancelled'(stage) {
    const fake = new FakeCopy(wholeChunks(4));
    fake.hold(2);
    await stage.startWorker(fake);
    const handle = await stage.start(named('cancelled'));
    await eventually(() => fake.isReached(2));
    await handle.cancel();
    return await settled(handle);
  },

  async 'copy-refused'(stage) {
    const fake = new FakeCopy(wholeChunks(1));
    fake.failCall('prepareCopy', 'preflight.refused');
    await stage.startWorker(fake);
    return await settled(await stage.start(named('refused')));
  },

  async 'copy-continued'(stage) {
    const fake = new FakeCopy(wholeChunks(300));
    fake.failUnit(5, 'store.conflict', 9);
    await stage.startWorker(fake);
    const handle = await stage.start(jobOf({ name: 'continued', onFailure: onFailure('slow') }));
    const { runId } = await handle.describe();
    await handle.result();
    return stage.client.workflow.getHandle(handle.workflowId, runId);
  },

  async 'backup-restore-done'(stage) {
    await stage.startWorker(new FakeBackup(slicedChunks([2, 0])));
    return await settled(await backedUp(stage, backupJobOf({ name: 'offsite' })));
  },

  async 'backup-restore-retry'(stage) {
    const fake = new FakeBackup(wholeChunks(3));
    fake.stages.transfer.failUnit(2, 'artifact.corrupt');
    await stage.startWorker(fake);
    const job = backupJobOf({ name: 'offsite-retry', onFailure: onFailure('skip') });
    await settled(await backedUp(stage, job));
    fake.stages.transfer.cure(2);
    return await settled(await backedUp(stage, job, 'retry'));
  },

  async 'backup-restore-snapshot-lost'(stage) {
    const fake = new FakeBackup(wholeChunks(3));
    fake.stages.backup.hold(2);
    await stage.startWorker(fake);
    const job = backupJobOf({ name: 'offsite-snapshot' });
    const { backup } = job;
    const handle = await backedUp(stage, { ...job, backup: { ...backup, consistency: 'snapshot' } });
    await eventually(() => fake.stages.backup.isReached(2));
    fake.loseSnapshot();
    return await settled(handle);
  },

  async 'backup-restore-cut'(stage) {
    await stage.startWorker(new FakeBackup(wholeChunks(3)));
    const job = backupJobOf({ name: 'offsite-cut' });
    const backup = { ...job.backup, consistency: 'cut', maxLogBytes: 1e9 } as const;
    return await settled(await backedUp(stage, { ...job, backup }));
  },

  async 'backup-restore-continued'(stage) {
    await stage.startWorker(new FakeBackup(wholeChunks(60)));
    const job = backupJobOf({ name: 'offsite-continued' });
    const handle = await backedUp(stage, job);
    const { runId } = await handle.describe();
    await handle.result();
    return stage.client.workflow.getHandle(handle.workflowId, runId);
  },

  async 'launch-ran'(stage) {
    await stage.startWorker(new FakeCopy(wholeChunks(1)));
    return await settled(await launched(stage, named('launched')));
  },

  async 'launch-cancelled-the-older'(stage) {
    const fake = new FakeCopy(wholeChunks(1));
    fake.hold(1);
    await stage.startWorker(fake);
    const schedule = {
      cron: '@daily',
      timezone: 'UTC',
      overlap: 'cancel',
      catchupMs: 1,
      paused: false,
    } as const;
    const job = { ...named('overlap'), schedule };
    const older = await stage.start(job);
    await eventually(() => fake.isReached(1));
    const launcher = await launched(stage, job);
    await settled(older);
    fake.release(1);
    return await settled(launcher);
  },

  ...duplicationScenarios,
};

async function backedUp(
  stage: Stage,
  job: ReturnType<typeof backupJobOf>,
  intent: 'run' | 'retry' = 'run',
): Promise<WorkflowHandle> {
  return await stage.client.workflow.start('backupRestore', {
    workflowId: workflowIdOf('backup-restore', job.name),
    taskQueue: stage.taskQueue,
    args: [{ job, definitionHash: 'recorded', intent }],
  });
}

async function launched(stage: Stage, job: ReturnType<typeof jobOf>): Promise<WorkflowHandle> {
  return await stage.client.workflow.start('launch', {
    workflowId: `launch/${workflowIdOf('copy', job.name)}`,
    taskQueue: stage.taskQueue,
    args: [{ job, definitionHash: 'recorded' }],
  });
}

/** Stack traces name places of the machine that recorded. */
function withoutPlaces(json: string): string {
  return JSON.stringify(
    JSON.parse(json, (key, value: unknown) => (key === 'stackTrace' ? '' : value)),
    null,
    1,
  );
}

async function main(wanted: readonly string[]): Promise<void> {
  const workflowsPath = fileURLToPath(new URL('../../workflows/index.ts', import.meta.url));
  const bundle = await bundleWorkflowCode({ workflowsPath });
  const few = ['--dynamic-config-value', 'limit.historyCount.suggestContinueAsNew=150'];
  const server = await startTemporal({ alwaysOwn: true, extraArgs: few });
  try {
    for (const [name, scenario] of Object.entries(scenarios)) {
      if (wanted.length > 0 && !wanted.includes(name)) continue;
      const stage = await Stage.open(server.address, bundle);
      const history = await (await scenario(stage)).fetchHistory();
      await writeFile(
        new URL(`histories/${name}.json`, import.meta.url),
        `${withoutPlaces(historyToJSON(history))}\n`,
      );
      process.stdout.write(`${name}: ${history.events?.length ?? 0} events\n`);
      await stage.close();
    }
  } finally {
    await server.stop();
  }
}

await main(process.argv.slice(2));
