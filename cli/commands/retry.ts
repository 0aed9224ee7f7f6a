import { Command } from 'commander';
import { retryUpdate } from '../../workflows/messages.ts';
import { start } from '../client.ts';
import { type CommandContext, type CommandResult, withContext } from '../context.ts';
import { report, sendUpdate, whereabouts } from '../control.ts';
import { againFor, latestStart } from '../definition-of.ts';
import { findJob } from '../job-address.ts';
import { waitForRuns } from '../wait-for-runs.ts';
import { requireWorker } from '../workers.ts';

interface RetryOptions {
  readonly waiting?: boolean;
  readonly wait?: boolean;
}

export function retryCommand(): Command {
  return new Command('retry')
    .description('Load what is missing: skipped chunks, and the rest of a run that was terminated.')
    .argument('<job>', 'name of the job')
    .option('--waiting', 'instead: try chunks that wait for another attempt at once')
    .option('--wait', 'stay until a job that had ended is through with them')
    .action(withContext(retry));
}

async function retry(context: CommandContext, name: string, options: RetryOptions): CommandResult {
  const access = await context.temporal();
  const address = await findJob(access, name);
  const { running, taskQueue } = await whereabouts(access, address);
  if (running) {
    const what = options.waiting === true ? 'waiting' : 'skipped';
    const order = { update: retryUpdate, args: [{ what }], taskQueue } satisfies Parameters<
      typeof sendUpdate
    >[2];
    report(context, address, await sendUpdate(access, address, order));
    return 0;
  }
  await requireWorker(access, taskQueue);
  const submitted = await start(access, address, againFor('retry', await latestStart(access, address)));
  if (options.wait === true) return await waitForRuns(context, access, [submitted]);
  report(context, address, { message: 'what its latest load is missing is loaded now' });
  return 0;
}
