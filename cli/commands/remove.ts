import { Command } from 'commander';
import { ScheduleNotFoundError } from '@temporalio/client';
import { scheduleIdOf, searchAttributes, workflowTypes } from '../../definitions/contracts/names.ts';
import { SynclineError } from '../../definitions/errors.ts';
import { removeUpdate } from '../../workflows/messages.ts';
import type { TemporalAccess } from '../../worker/connection.ts';
import { start } from '../client.ts';
import { type CommandContext, type CommandResult, withContext } from '../context.ts';
import { report, sendUpdate } from '../control.ts';
import { againFor, latestStart } from '../definition-of.ts';
import { describeJob, findJob, type JobAddress } from '../job-address.ts';
import { notFound, translated } from '../temporal-errors.ts';
import { waitForRuns } from '../wait-for-runs.ts';
import { requireWorker } from '../workers.ts';

interface RemoveOptions {
  readonly detach?: boolean;
}

export function removeCommand(): Command {
  return new Command('remove')
    .description(
      'End a job for good: its schedule, waiting runs, staging, plan and ledger. Copied rows and published backups stay.',
    )
    .argument('<job>', 'name of the job')
    .option('--detach', 'do not wait until everything is cleaned up')
    .action(withContext(remove));
}

async function remove(context: CommandContext, name: string, { detach }: RemoveOptions): CommandResult {
  const access = await context.temporal();
  const address = await findJob(access, name);
  const description = await describeJob(access, address);
  // Without a worker nothing can be cleaned up, and half a removal is worse than none.
  if (description !== null) await requireWorker(access, description.taskQueue);
  const hadSchedule = await deleteSchedule(access, address);
  if (description !== null || hadSchedule) await endLaunchers(access, address);
  const alsoSchedule = hadSchedule ? ' Its schedule is deleted.' : '';
  if (description === null) {
    if (!hadSchedule) throw notFound(address.name, access.target);
    report(context, address, { message: 'it never ran; its schedule is deleted' });
    return 0;
  }
  if (description.status.name === 'RUNNING') {
    const { message } = await sendUpdate(access, address, {
      update: removeUpdate,
      args: [],
      taskQueue: description.taskQueue,
    });
    report(context, address, { message: `${message}${alsoSchedule}` });
    return detach === true ? 0 : await untilRemoved(access, address);
  }
  const submitted = await start(access, address, againFor('remove', await latestStart(access, address)));
  if (detach !== true) {
    const code = await waitForRuns(context, access, [submitted]);
    // For this command, removed is what was asked for.
    return (await submitted.result())?.state === 'removed' ? 0 : code;
  }
  report(context, address, { message: `it is being cleaned up.${alsoSchedule}` });
  return 0;
}

async function untilRemoved(access: TemporalAccess, address: JobAddress): Promise<number> {
  const result = (await access.client.workflow.getHandle(address.workflowId).result()) as { state?: string };
  if (result.state === 'removed') return 0;
  throw new SynclineError(
    'job.refused',
    `The job "${address.name}" ended before it could be removed; try again.`,
  );
}

/**
 * A launcher that waits for its turn would start the job again. The run of one that does not wait is not ended with
 * it: that is left to the job, which cleans up.
 */
async function endLaunchers({ client, target }: TemporalAccess, { kind, name }: JobAddress): Promise<void> {
  const conditions = [
    `WorkflowType = '${workflowTypes.launch}'`,
    `${searchAttributes.job} = '${name}'`,
    `${searchAttributes.kind} = '${kind}'`,
    `ExecutionStatus = 'Running'`,
  ];
  for await (const { workflowId } of client.workflow.list({ query: conditions.join(' AND ') })) {
    try {
      await client.workflow.getHandle(workflowId).terminate('The job was removed: syncline remove.');
    } catch (error) {
      const known = translated(error, { target, job: name });
      // It ended by itself meanwhile.
      if (!(known instanceof SynclineError && known.code === 'job.notFound')) throw known;
    }
  }
}

async function deleteSchedule({ client }: TemporalAccess, { kind, name }: JobAddress): Promise<boolean> {
  try {
    await client.schedule.getHandle(scheduleIdOf(kind, name)).delete();
    return true;
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return false;
    throw error;
  }
}
