import { WorkflowUpdateStage } from '@temporalio/client';
import type { UpdateDefinition } from '@temporalio/common';
import type { ControlAnswer } from '../definitions/contracts/control.ts';
import { SynclineError } from '../definitions/errors.ts';
import type { TemporalAccess } from '../worker/connection.ts';
import type { CommandContext } from './context.ts';
import { expectLinks, findDuplication } from './link-option.ts';
import { describeExisting, findJob, type JobAddress } from '../worker/jobs/job-address.ts';
import { translated } from '../worker/jobs/temporal-errors.ts';
import { requireWorker } from '../worker/jobs/workers.ts';

/** An answer comes within this, or no worker is there: a worker answers in milliseconds. */
const answerTimeoutMs = 6_000;

export interface Control<Args extends [] | [object]> {
  readonly update: UpdateDefinition<ControlAnswer, Args>;
  readonly args: Args;
}

export interface Whereabouts {
  readonly running: boolean;
  /** Where its workers are: the operator's syncline.yaml may be that of another site. */
  readonly taskQueue: string;
}

export async function whereabouts(access: TemporalAccess, address: JobAddress): Promise<Whereabouts> {
  const { status, taskQueue } = await describeExisting(access, address);
  return { running: status.name === 'RUNNING', taskQueue };
}

/**
 * Sends one Update to a running job and prints its answer.
 * Errors: `job.notFound`, `job.refused`, `job.noWorker` within ten seconds, `temporal.*`.
 */
export async function control<Args extends [] | [object]>(
  context: CommandContext,
  name: string,
  order: Control<Args>,
): Promise<undefined> {
  const access = await context.temporal();
  const address = await findJob(access, name);
  expectLinks(address, order.args[0] ?? {});
  const taskQueue = await runningQueue(access, address);
  report(context, address, await sendUpdate(access, address, { ...order, taskQueue }));
  return undefined;
}

/** The same for a job that has links; one of another kind is refused before it is told anything. */
export async function controlLinks<Args extends [] | [object]>(
  context: CommandContext,
  name: string,
  order: Control<Args>,
): Promise<undefined> {
  const access = await context.temporal();
  const address = await findDuplication(access, name);
  const taskQueue = await runningQueue(access, address);
  report(context, address, await sendUpdate(access, address, { ...order, taskQueue }));
  return undefined;
}

/** The task queue of a job that runs. Errors: `job.refused` when it does not. */
export async function runningQueue(access: TemporalAccess, address: JobAddress): Promise<string> {
  const { running, taskQueue } = await whereabouts(access, address);
  if (running) return taskQueue;
  throw new SynclineError(
    'job.refused',
    `The job "${address.name}" is not running; \`syncline run FILE\` starts it.`,
  );
}

export async function sendUpdate<Args extends [] | [object]>(
  access: TemporalAccess,
  address: JobAddress,
  { update, args, taskQueue }: Control<Args> & Pick<Whereabouts, 'taskQueue'>,
): Promise<ControlAnswer> {
  await requireWorker(access, taskQueue);
  const handle = access.client.workflow.getHandle(address.workflowId);
  try {
    return await access.connection.withDeadline(Date.now() + answerTimeoutMs, () =>
      handle.executeUpdate<ControlAnswer, [object]>(update.name, { args: args as [object] }),
    );
  } catch (error) {
    throw translated(error, { target: { ...access.target, taskQueue }, job: address.name });
  }
}

export interface LongControl<Answer, Args extends [object]> {
  readonly update: UpdateDefinition<Answer, Args>;
  readonly args: Args;
  readonly taskQueue: string;
}

/**
 * For an Update whose answer is the end of its work: it is taken at once or refused, and then waited for as long as it
 * takes. Ctrl-C leaves it to the job. Errors: as `control`.
 */
export async function sendLongUpdate<Answer, Args extends [object]>(
  access: TemporalAccess,
  address: JobAddress,
  { update, args, taskQueue }: LongControl<Answer, Args>,
): Promise<Answer> {
  await requireWorker(access, taskQueue);
  const handle = access.client.workflow.getHandle(address.workflowId);
  try {
    const started = await access.connection.withDeadline(Date.now() + answerTimeoutMs, () =>
      handle.startUpdate<Answer, [object]>(update.name, { args, waitForStage: WorkflowUpdateStage.ACCEPTED }),
    );
    return await started.result();
  } catch (error) {
    throw translated(error, { target: { ...access.target, taskQueue }, job: address.name });
  }
}

export function report(
  { output }: CommandContext,
  { name, kind }: JobAddress,
  { message }: ControlAnswer,
): void {
  output.value({ name, kind, message });
  output.line(`${kind}/${name}: ${message}`);
}
