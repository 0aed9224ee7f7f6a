import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FakeCopy, rowsPerUnit, wholeChunks } from '../support/fake-copy-activities.ts';
import { temporalAddress, workflowBundle } from '../support/temporal.ts';
import { jobOf, onFailure, Stage } from './harness.ts';

const million = 1_000_000;
/** One unit of it is bad, and one batch meets a server that is away for a while. */
const bad = 123_456;

let stage: Stage;

beforeAll(async () => {
  stage = await Stage.open(temporalAddress(), workflowBundle());
});

afterAll(async () => {
  await stage.close();
});

async function historyLengths(workflowId: string, latest: string): Promise<number[]> {
  const lengths: number[] = [];
  for (
    let runId: string | null | undefined = latest;
    runId !== null && runId !== undefined && runId !== '';
  ) {
    const { events } = await stage.client.workflow.getHandle(workflowId, runId).fetchHistory();
    lengths.push(events?.length ?? 0);
    runId = events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId;
  }
  return lengths;
}

describe('one job of a million chunks', () => {
  it('copies each once, in runs below 4,000 events', async () => {
    const fake = new FakeCopy(wholeChunks(million), { keepsCalls: false });
    fake.failUnit(bad, 'target.constraint');
    fake.failUnit(777_777, 'store.connectionLost', 2);
    await stage.startWorker(fake);
    const job = jobOf({ onFailure: onFailure('skip') });
    const handle = await stage.start({ ...job, run: { ...job.run, parallel: 16 } });
    const result = await handle.result();
    expect(result.chunks).toEqual({ total: million, done: million - 1, skipped: 1 });
    expect(result.skipped.map(({ ordinal }) => ordinal)).toEqual([bad]);
    expect(fake.finishInput?.totals).toMatchObject({
      unitsDone: million - 1,
      rowsRead: (million - 1) * rowsPerUnit,
    });
    expect(fake.repeats).toBe(0);
    const lengths = await historyLengths(handle.workflowId, (await handle.describe()).runId);
    expect(lengths.length).toBeGreaterThan(1);
    expect(Math.max(...lengths)).toBeLessThan(4_000);
  });
});
