import proto from '@temporalio/proto';
import type { TemporalAccess } from '../worker/connection.ts';
import { noWorker } from './temporal-errors.ts';

const { TaskQueueType } = proto.temporal.api.enums.v1;
const queueTypes = {
  workflow: TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
  activity: TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
} as const;

/** A long poll lasts a minute, and the server remembers pollers for five: older ones are gone. */
const pollerAgeLimitMs = 75_000;

export interface Pollers {
  /** Identities, `<pid>@<host>`. */
  readonly workflow: readonly string[];
  readonly activity: readonly string[];
}

/** Who polls the task queue. A worker killed within the last minute may still be listed. */
export async function pollersOf(access: TemporalAccess): Promise<Pollers> {
  const [workflow, activity] = await Promise.all([pollers(access, 'workflow'), pollers(access, 'activity')]);
  return { workflow, activity };
}

async function pollers(
  { connection, target }: TemporalAccess,
  type: keyof typeof queueTypes,
): Promise<readonly string[]> {
  const answer = await connection.withDeadline(Date.now() + 5_000, () =>
    connection.workflowService.describeTaskQueue({
      namespace: target.namespace,
      taskQueue: { name: target.taskQueue },
      taskQueueType: queueTypes[type],
    }),
  );
  const now = Date.now();
  return answer.pollers
    .filter(({ lastAccessTime }) => now - Number(lastAccessTime?.seconds ?? 0) * 1000 < pollerAgeLimitMs)
    .map(({ identity }) => identity ?? '');
}

export async function hasWorker(access: TemporalAccess): Promise<boolean> {
  return (await pollersOf(access)).workflow.length > 0;
}

/** Errors: `job.noWorker`. */
export async function requireWorker(access: TemporalAccess): Promise<void> {
  if (!(await hasWorker(access))) throw noWorker(access.target);
}
