import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { pauseUpdate, resumeUpdate, statusQuery } from '../../workflows/messages.ts';
import { startTemporal, type TemporalServer } from '../../worker/local/temporal.ts';
import { eventually } from '../support/eventually.ts';
import { FakeCopy, rowsPerUnit, slicedChunks, wholeChunks } from '../support/fake-copy-activities.ts';
import { workflowBundle } from '../support/temporal.ts';
import { jobOf, onFailure, Stage, stateKey, statusWhen } from './harness.ts';

/** A server that asks for a new run every 60 events, so that a small plan takes many. */
let server: TemporalServer;
let stage: Stage;

beforeAll(async () => {
  const often = ['--dynamic-config-value', 'limit.historyCount.suggestContinueAsNew=60'];
  server = await startTemporal({ alwaysOwn: true, extraArgs: often });
});

afterAll(async () => {
  await server.stop();
});

beforeEach(async () => {
  stage = await Stage.open(server.address, workflowBundle());
});

afterEach(async () => {
  await stage.close();
});

/** Run ids, the latest first. */
async function runsOf(workflowId: string, latest: string): Promise<string[]> {
  const runs: string[] = [];
  for (let runId = latest; ;) {
    runs.push(runId);
    const { events } = await stage.client.workflow.getHandle(workflowId, runId).fetchHistory();
    const before = events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId;
    expect(events?.length ?? 0).toBeLessThan(400);
    if (before === undefined || before === null || before === '') return runs;
    runId = before;
  }
}

describe('a long copy', () => {
  it('counts every unit once over many runs', async () => {
    const fake = new FakeCopy(wholeChunks(20_000));
    await stage.startWorker(fake);
    const job = jobOf();
    const handle = await stage.start(job);
    const result = await handle.result();
    expect(result.chunks).toEqual({ total: 20_000, done: 20_000, skipped: 0 });
    expect(fake.finishInput?.totals).toMatchObject({ unitsDone: 20_000, rowsWritten: 20_000 * rowsPerUnit });
    expect(fake.repeats).toBe(0);
    const description = await handle.describe();
    expect(description.typedSearchAttributes.get(stateKey)).toBe('done');
    const runs = await runsOf(handle.workflowId, description.runId);
    expect(runs.length).toBeGreaterThan(5);
    expect(fake.finishInput?.ref.run).toBe(runs.at(-1));
  });

  it('carries failing units, skipped slices and the finish that must wait', async () => {
    const fake = new FakeCopy(slicedChunks([40, 0, 30, ...Array<number>(60).fill(0)]));
    fake.failUnit(5, 'target.constraint');
    fake.failUnit(60, 'store.lockTimeout', 4);
    await stage.startWorker(fake);
    const handle = await stage.start(jobOf({ onFailure: onFailure('skip', 8) }));
    const result = await handle.result();
    expect(result.chunks).toEqual({ total: 133, done: 131, skipped: 2 });
    expect(result.skipped.map(({ ordinal }) => ordinal)).toEqual([5, 41]);
    expect(fake.repeats).toBe(0);
  });

  it('stays paused over a new run', async () => {
    const fake = new FakeCopy(wholeChunks(200));
    fake.hold(120);
    await stage.startWorker(fake);
    const handle = await stage.start(jobOf());
    // Long enough for a new run, which the held unit alone still holds up.
    await eventually(async () => fake.isReached(120) && (await handle.describe()).historyLength > 60);
    await statusWhen(handle, ({ chunks }) => chunks.inFlight === 1);
    const { runId } = await handle.describe();
    await handle.executeUpdate(pauseUpdate, { args: [{}] });
    await eventually(async () => (await handle.describe()).runId !== runId);
    expect((await handle.query(statusQuery)).state).toBe('paused');
    fake.release(120);
    await handle.executeUpdate(resumeUpdate, { args: [{}] });
    expect((await handle.result()).chunks.done).toBe(200);
    expect(fake.repeats).toBe(0);
  });
});
