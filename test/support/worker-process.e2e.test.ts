import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sendSignal } from '../../worker/local/process-tree.ts';
import { createDatabasePair, type DatabasePair } from './postgres.ts';
import { temporalAddress, uniqueTaskQueue } from './temporal.ts';
import { startWorkerProcess } from './worker-process.ts';

describe('a worker as a process of its own', () => {
  let pair: DatabasePair;

  beforeEach(async () => {
    pair = await createDatabasePair();
  });

  afterEach(async () => {
    await pair.drop();
  });

  function options(env: Readonly<Record<string, string>> = {}): Parameters<typeof startWorkerProcess>[0] {
    return {
      stores: { source: pair.source.url, target: pair.target.url },
      temporalAddress: temporalAddress(),
      taskQueue: uniqueTaskQueue(),
      env,
    };
  }

  it('ends with 0 on SIGTERM', async () => {
    const worker = await startWorkerProcess(options());
    expect(await worker.terminate()).toBe(0);
  });

  it('can be killed', async () => {
    const worker = await startWorkerProcess(options());
    expect(await worker.kill()).toBe('SIGKILL');
    expect(sendSignal(worker.pid, 0)).toBe(false);
  });

  it('that cannot start is an error with what it printed', async () => {
    await expect(startWorkerProcess(options({ TEMPORAL_PROFILE: 'nowhere' }))).rejects.toThrow(/nowhere/);
  });
});
