import { setTimeout as delay } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import proto from '@temporalio/proto';
import { SynclineError } from '../../definitions/errors.ts';

export interface WaitForWorkerOptions {
  readonly address: string;
  readonly taskQueue: string;
  /** Only a worker whose identity is `<pid>@<host>` with this process id counts. */
  readonly pid: number;
  /** Stops waiting, for instance because the process has ended. */
  readonly gaveUp: () => boolean;
}

const { TASK_QUEUE_TYPE_WORKFLOW, TASK_QUEUE_TYPE_ACTIVITY } = proto.temporal.api.enums.v1.TaskQueueType;

/** Resolves when the server sees the worker poll for workflows and for activities. Errors: `job.noWorker`. */
export async function waitForWorker(options: WaitForWorkerOptions): Promise<void> {
  const connection = await Connection.connect({ address: options.address });
  try {
    while (!(await polls(connection, options))) {
      if (options.gaveUp()) {
        throw new SynclineError(
          'job.noWorker',
          `The worker on task queue "${options.taskQueue}" ended before it was ready.`,
        );
      }
      await delay(100);
    }
  } finally {
    await connection.close();
  }
}

async function polls(connection: Connection, { taskQueue, pid }: WaitForWorkerOptions): Promise<boolean> {
  for (const taskQueueType of [TASK_QUEUE_TYPE_WORKFLOW, TASK_QUEUE_TYPE_ACTIVITY]) {
    const { pollers } = await connection.workflowService.describeTaskQueue({
      namespace: 'default',
      taskQueue: { name: taskQueue },
      taskQueueType,
    });
    if (!pollers.some((poller) => poller.identity?.startsWith(`${pid}@`) === true)) return false;
  }
  return true;
}
