import type { UpdateDefinition } from '@temporalio/common';
import type { ControlAnswer } from '../definitions/contracts/control.ts';
import { SynclineError } from '../definitions/errors.ts';
import type { TemporalAccess } from '../worker/connection.ts';
import type { CommandContext } from './context.ts';
import { describeExisting, findJob, type JobAddress } from './job-address.ts';
import { translated } from './temporal-errors.ts';
import { requireWorker } from './workers.ts';

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
  const { running, taskQueue } = await whereabouts(access, address);
  if (!running) {
    throw new SynclineError(
      'job.refused',
      `The job "${address.name}" is not running; \`syncline run FILE\` starts it.`,
    );
  }
  report(context, address, await sendUpdate(access, address, { ...order, taskQueue }));
  return undefined;
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

export function report(
  { output }: CommandContext,
  { name, kind }: JobAddress,
  { message }: ControlAnswer,
): void {
  output.value({ name, kind, message });
  output.line(`${kind}/${name}: ${message}`);
}
