import { Command } from 'commander';
import type { TemporalAccess } from '../../worker/connection.ts';
import { alreadyRunning, submit, type Submitted } from '../client.ts';
import { type CommandContext, type CommandResult, withContext } from '../context.ts';
import { exitCodes } from '../exit-codes.ts';
import { addressOf, describeJob } from '../../worker/jobs/job-address.ts';
import { readSubmittableJobs, type SubmittableJob } from '../job-files.ts';
import { waitForRuns } from '../wait-for-runs.ts';
import { hasWorker, idleQueues } from '../../worker/jobs/workers.ts';

interface RunOptions {
  readonly wait?: boolean;
  readonly detach?: boolean;
}

export function runCommand(): Command {
  return new Command('run')
    .description('Start every job of the files now. It goes on without this command unless --wait is given.')
    .argument('<file...>', 'job files; one error in one of them starts nothing')
    .option(
      '--wait',
      'stay until the jobs end and print their result, or, as a duplication does not end by itself, until its targets are consistent; Ctrl-C leaves them running',
    )
    .option('--detach', 'return as soon as they are started (default)')
    .action(withContext(run));
}

async function run(context: CommandContext, files: string[], options: RunOptions): CommandResult {
  const jobs = readSubmittableJobs(files, context.config());
  const access = await context.temporal();
  await refuseOverlaps(access, jobs);
  const submitted: Submitted[] = [];
  for (const job of jobs) submitted.push(await submit(access, job));
  await warnWithoutWorker(context, access, jobs);
  if (options.wait === true && options.detach !== true)
    return await waitForRuns(context, access, { runs: submitted, until: 'settled' });
  for (const { address, workflowId, runId, behind } of submitted) {
    context.output.value({ name: address.name, kind: address.kind, state: 'submitted', workflowId, runId });
    context.output.line(
      behind
        ? `${address.workflowId}: another run is active; this one follows by the job's overlap rule`
        : `${address.workflowId}: started; \`syncline status ${address.name}\` shows it`,
    );
  }
  return exitCodes.done;
}

/** Before anything is started: a file is submitted whole or not at all. */
async function refuseOverlaps(access: TemporalAccess, jobs: readonly SubmittableJob[]): Promise<void> {
  for (const { job } of jobs) {
    if ((job.schedule?.overlap ?? 'skip') !== 'skip') continue;
    const description = await describeJob(access, addressOf(job.kind, job.name));
    if (description?.status.name === 'RUNNING') throw alreadyRunning(job.name);
  }
}

async function warnWithoutWorker(
  { output }: CommandContext,
  access: TemporalAccess,
  jobs: readonly SubmittableJob[],
): Promise<void> {
  const { taskQueue } = access.target;
  const sites = jobs.flatMap(({ queues }) => Object.values(queues ?? {}));
  const idle = await idleQueues(
    access,
    sites.filter((queue) => queue !== taskQueue),
  );
  if (!(await hasWorker(access))) idle.unshift(taskQueue);
  for (const queue of idle)
    output.note(`No worker polls task queue "${queue}" yet; the job waits for one (\`syncline worker\`).`);
}
