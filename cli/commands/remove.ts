import { Command, Option } from 'commander';
import { ScheduleNotFoundError, WorkflowFailedError } from '@temporalio/client';
import { scheduleIdOf, searchAttributes, workflowTypes } from '../../definitions/contracts/names.ts';
import type { RemoveInput } from '../../definitions/contracts/control.ts';
import type { LinkSide } from '../../definitions/contracts/duplication.ts';
import { SynclineError } from '../../definitions/errors.ts';
import { removeUpdate } from '../../workflows/messages.ts';
import type { TemporalAccess } from '../../worker/connection.ts';
import { againFor, start } from '../client.ts';
import { type CommandContext, type CommandResult, withContext } from '../context.ts';
import { report, runningQueue, sendUpdate } from '../control.ts';
import { untilLinksEnd } from '../ended-links.ts';
import { exitCodes } from '../exit-codes.ts';
import { expectDuplication, linkInput, type LinkOption } from '../link-option.ts';
import { latestStart } from '../../worker/jobs/latest-start.ts';
import { describeJob, findJob, type JobAddress } from '../../worker/jobs/job-address.ts';
import { notFound, translated } from '../../worker/jobs/temporal-errors.ts';
import { waitForRuns } from '../wait-for-runs.ts';
import { requireWorker } from '../../worker/jobs/workers.ts';

interface RemoveOptions extends LinkOption {
  readonly abandon?: LinkSide;
  readonly detach?: boolean;
}

export function removeCommand(): Command {
  return new Command('remove')
    .description(
      'End a job for good: its schedule, waiting runs, staging, plan, ledger, slot and publication. Copied rows and published backups stay.',
    )
    .argument('<job>', 'name of the job')
    .option('--detach', 'do not wait until everything is cleaned up')
    .addOption(
      new Option(
        '--abandon <side>',
        'of a duplication: this side is gone for ever and is not asked any more; what stays there is said',
      ).choices(['source', 'target']),
    )
    .option('--target <store>', 'of a duplication: end only the link to this target; the job goes on')
    .action(withContext(remove));
}

async function remove(context: CommandContext, name: string, options: RemoveOptions): CommandResult {
  const { detach, abandon } = options;
  const access = await context.temporal();
  const address = await findJob(access, name);
  if (abandon !== undefined || options.target !== undefined) expectDuplication(address);
  const order = { ...(abandon === undefined ? {} : { abandon }), ...linkInput(options) };
  if (options.target !== undefined) return await removeLink(context, access, { address, order, detach });
  const description = await describeJob(access, address);
  // Without a worker nothing can be cleaned up, and half a removal is worse than none.
  if (description !== null) await requireWorker(access, description.taskQueue);
  const hadSchedule = await deleteSchedule(access, address);
  if (description !== null || hadSchedule) await endLaunchers(access, address);
  if (description === null && !hadSchedule) throw notFound(address.name, access.target);
  const removal = { address, order, detach, also: hadSchedule ? ' Its schedule is deleted.' : '' };
  for (let attempt = 1; ; attempt += 1) {
    const end = await removeJob(context, access, removal).catch((error: unknown) => {
      if (attempt < attempts && isStartedMeanwhile(error)) return null;
      throw error;
    });
    if (end !== null) return end;
  }
}

/** A run that its schedule began a moment before that was deleted may come in between. */
const attempts = 5;

function isStartedMeanwhile(error: unknown): boolean {
  return error instanceof SynclineError && error.code === 'job.alreadyRunning';
}

interface Removal extends LinkRemoval {
  /** To be said with its answer. */
  readonly also: string;
}

async function removeJob(context: CommandContext, access: TemporalAccess, removal: Removal): Promise<number> {
  const { address, order, detach, also } = removal;
  const description = await describeJob(access, address);
  if (description === null) {
    report(context, address, { message: 'it never ran; its schedule is deleted' });
    return exitCodes.done;
  }
  const { taskQueue, status } = description;
  if (status.name === 'RUNNING' && (await removeRunning(context, access, { ...removal, taskQueue })))
    return exitCodes.done;
  const again = againFor('remove', await latestStart(access, address), order.abandon);
  const submitted = await start(access, address, again);
  if (detach === true) {
    report(context, address, { message: `it is being cleaned up.${also}` });
    return exitCodes.done;
  }
  const code = await waitForRuns(context, access, { runs: [submitted], until: 'ended' });
  // For this command, removed is what was asked for.
  return (await submitted.result())?.state === 'removed' ? exitCodes.done : (code ?? exitCodes.done);
}

interface LinkRemoval {
  readonly address: JobAddress;
  readonly order: RemoveInput & LinkOption;
  readonly detach: boolean | undefined;
}

/** One link of several: the job and what starts it stay. */
async function removeLink(
  context: CommandContext,
  access: TemporalAccess,
  { address, order, detach }: LinkRemoval,
): CommandResult {
  const taskQueue = await runningQueue(access, address);
  const answer = await sendUpdate(access, address, { update: removeUpdate, args: [order], taskQueue });
  report(context, address, answer);
  if (detach !== true) await untilLinksEnd(access, address, { phase: 'removed', ...linkInput(order) });
  return 0;
}

interface RunningRemoval extends Removal {
  readonly taskQueue: string;
}

/** False: it ended by itself before it heard of it, and is to be removed as one that does not run. */
async function removeRunning(
  context: CommandContext,
  access: TemporalAccess,
  { address, order, detach, taskQueue, also }: RunningRemoval,
): Promise<boolean> {
  try {
    const answer = await sendUpdate(access, address, { update: removeUpdate, args: [order], taskQueue });
    report(context, address, { message: `${answer.message}${also}` });
  } catch (error) {
    if ((await describeJob(access, address))?.status.name === 'RUNNING') throw error;
    return false;
  }
  if (detach === true) return true;
  try {
    const result = (await access.client.workflow.getHandle(address.workflowId).result()) as {
      state?: string;
    };
    return result.state === 'removed';
  } catch (error) {
    if (error instanceof WorkflowFailedError) return false;
    throw error;
  }
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
