import proto from '@temporalio/proto';
import type { TemporalAccess } from '../connection.ts';
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

/** Who polls a task queue. A worker killed within the last minute may still be listed. */
export async function pollersOf(
  access: TemporalAccess,
  taskQueue = access.target.taskQueue,
): Promise<Pollers> {
  const [workflow, activity] = await Promise.all([
    pollers(access, taskQueue, 'workflow'),
    pollers(access, taskQueue, 'activity'),
  ]);
  return { workflow, activity };
}

async function pollers(
  { connection, target }: TemporalAccess,
  taskQueue: string,
  type: keyof typeof queueTypes,
): Promise<readonly string[]> {
  const answer = await connection.withDeadline(Date.now() + 5_000, () =>
    connection.workflowService.describeTaskQueue({
      namespace: target.namespace,
      taskQueue: { name: taskQueue },
      taskQueueType: queueTypes[type],
    }),
  );
  const now = Date.now();
  return answer.pollers
    .filter(({ lastAccessTime }) => now - Number(lastAccessTime?.seconds ?? 0) * 1000 < pollerAgeLimitMs)
    .map(({ identity }) => identity ?? '');
}

export async function hasWorker(access: TemporalAccess, taskQueue?: string): Promise<boolean> {
  return (await pollersOf(access, taskQueue)).workflow.length > 0;
}

/** Those of the queues that nobody takes activities from. */
export async function idleQueues(access: TemporalAccess, queues: Iterable<string>): Promise<string[]> {
  const idle: string[] = [];
  for (const queue of new Set(queues)) {
    if ((await pollersOf(access, queue)).activity.length === 0) idle.push(queue);
  }
  return idle;
}

/** Errors: `job.noWorker`. */
export async function requireWorker(access: TemporalAccess, taskQueue: string): Promise<void> {
  if (!(await hasWorker(access, taskQueue))) throw noWorker({ taskQueue });
}
