import { setTimeout as delay } from 'node:timers/promises';
import { inputOf, start, submit, type Submitted } from '../../../cli/client.ts';
import { queryStatus } from '../../../worker/jobs/job-status.ts';
import { readJobFiles } from '../../../cli/job-files.ts';
import { type Outcome, outcomeOf } from '../../../worker/jobs/outcome.ts';
import type { SiteQueues } from '../../../cli/sites.ts';
import type { JobStatus } from '../../../definitions/contracts/status.ts';
import { connectClient, type TemporalAccess } from '../../../worker/connection.ts';
import { messageNames } from '../../../definitions/contracts/names.ts';

export interface Jobs {
  /** `queues`: task queue of the workers near a store, by its name. */
  submit(file: string, queues?: SiteQueues): Promise<JobRun>;
  close(): Promise<void>;
}

/** A submitted run, seen through a client of its own: servers and workers may come and go meanwhile. */
export interface JobRun {
  readonly workflowId: string;
  readonly access: TemporalAccess;
  /** Null while nobody answers. */
  status(): Promise<JobStatus | null>;
  /** Sends `pause`, `resume`, `remove`, …; answers when the workflow has taken it. */
  order(update: 'pause' | 'resume' | 'remove' | 'retry'): Promise<void>;
  /** However often Temporal is away meanwhile. */
  ended(): Promise<Outcome>;
  /** `syncline remove` of the ended job, to its end. */
  remove(): Promise<Outcome>;
}

export async function openJobs(temporalAddress: string, taskQueue: string): Promise<Jobs> {
  const access = await connectClient({
    connectionOptions: { address: temporalAddress },
    address: temporalAddress,
    namespace: 'default',
    taskQueue,
  });
  return {
    async submit(file, queues) {
      const [job] = readJobFiles([file]);
      if (job === undefined) throw new Error('The file holds no job.');
      const submitted = await submit(access, queues === undefined ? job : { ...job, queues });
      return jobRun(access, submitted, () =>
        start(access, submitted.address, {
          input: inputOf(job.job, { definitionHash: job.definitionHash, intent: 'remove', queues }),
          taskQueue,
        }),
      );
    },
    close: () => access.connection.close(),
  };
}

function jobRun(access: TemporalAccess, submitted: Submitted, removal: () => Promise<Submitted>): JobRun {
  const { workflowId } = submitted;
  const handle = access.client.workflow.getHandle(workflowId);
  return {
    workflowId,
    access,
    status: () => queryStatus(access, submitted.address),
    async order(update) {
      await handle.executeUpdate<unknown, [object]>(messageNames[update], { args: [{}] });
    },
    ended: () => patiently(access, submitted),
    remove: async () => await patiently(access, await removal()),
  };
}

async function patiently(access: TemporalAccess, submitted: Submitted): Promise<Outcome> {
  const { connection, client } = access;
  for (;;) {
    try {
      const described = await connection.withDeadline(Date.now() + 3_000, () =>
        client.workflow.getHandle(submitted.workflowId).describe(),
      );
      if (described.status.name !== 'RUNNING') return await outcomeOf(submitted.result());
    } catch {
      // Away, perhaps on purpose: the time limit of the test is the net under this.
    }
    await delay(100);
  }
}
