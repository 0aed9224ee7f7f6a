import { Command } from 'commander';
import { retryUpdate } from '../../workflows/messages.ts';
import { againFor, start } from '../client.ts';
import { type CommandContext, type CommandResult, withContext } from '../context.ts';
import { report, sendUpdate, whereabouts } from '../control.ts';
import { latestStart } from '../../worker/jobs/latest-start.ts';
import { findJob } from '../../worker/jobs/job-address.ts';
import { expectLinks, linkInput, type LinkOption, linkOption } from '../link-option.ts';
import { waitForRuns } from '../wait-for-runs.ts';
import { requireWorker } from '../../worker/jobs/workers.ts';

interface RetryOptions extends LinkOption {
  readonly waiting?: boolean;
  readonly wait?: boolean;
}

export function retryCommand(): Command {
  return new Command('retry')
    .description(
      'Take up what is missing: skipped chunks, transactions that were set aside, and the rest of a run that was terminated.',
    )
    .argument('<job>', 'name of the job')
    .option('--waiting', 'instead: try chunks that wait for another attempt at once')
    .option('--wait', 'stay until a job that had ended is through with them')
    .option(...linkOption)
    .action(withContext(retry));
}

async function retry(context: CommandContext, name: string, options: RetryOptions): CommandResult {
  const access = await context.temporal();
  const address = await findJob(access, name);
  expectLinks(address, options);
  const { running, taskQueue } = await whereabouts(access, address);
  if (running) {
    const what = options.waiting === true ? 'waiting' : 'skipped';
    const order = {
      update: retryUpdate,
      args: [{ what, ...linkInput(options) }],
      taskQueue,
    } satisfies Parameters<typeof sendUpdate>[2];
    report(context, address, await sendUpdate(access, address, order));
    return 0;
  }
  await requireWorker(access, taskQueue);
  const submitted = await start(access, address, againFor('retry', await latestStart(access, address)));
  if (options.wait === true)
    return await waitForRuns(context, access, { runs: [submitted], until: 'settled' });
  report(context, address, { message: 'what its latest load is missing is loaded now' });
  return 0;
}
