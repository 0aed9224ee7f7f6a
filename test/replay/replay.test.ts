import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { bundleWorkflowCode, type WorkflowBundleWithSourceMap } from '@temporalio/worker';
import { beforeAll, describe, expect, it } from 'vitest';

Runtime.install({ logger: new DefaultLogger('ERROR') });

const histories = new URL('histories/', import.meta.url);
const files = readdirSync(histories).filter((file) => file.endsWith('.json'));
let workflowBundle: WorkflowBundleWithSourceMap;

interface HistoryEvent {
  activityTaskScheduledEventAttributes?: { activityType: { name: string } };
}

interface RecordedHistory {
  readonly events: HistoryEvent[];
}

function read(file: string): RecordedHistory {
  return JSON.parse(readFileSync(new URL(file, histories), 'utf8')) as RecordedHistory;
}

beforeAll(async () => {
  const workflowsPath = fileURLToPath(new URL('../../workflows/index.ts', import.meta.url));
  workflowBundle = await bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger('ERROR') });
});

describe('a recorded history', () => {
  it.each(files)('%s still replays', async (file) => {
    await expect(Worker.runReplayHistory({ workflowBundle }, read(file))).resolves.toBeUndefined();
  });

  it('does not replay when it called another activity', async () => {
    const history = read('copy-done.json');
    for (const { activityTaskScheduledEventAttributes: scheduled } of history.events) {
      if (scheduled?.activityType.name === 'listBatches') scheduled.activityType.name = 'listSomethingElse';
    }
    await expect(Worker.runReplayHistory({ workflowBundle }, history)).rejects.toThrow();
  });

  it('names no place of the machine that recorded it', () => {
    for (const file of files)
      expect(JSON.stringify(read(file))).not.toMatch(/\/(?:work|home|root|tmp|Users)\//);
  });
});
