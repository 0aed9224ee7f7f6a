import { Command } from 'commander';
import { ensureSearchAttributes } from '../../worker/search-attributes.ts';
import { type CommandContext, type CommandResult, withContext } from '../context.ts';
import { readSubmittableJobs } from '../job-files.ts';
import { type Applied, applySchedule } from '../schedules.ts';
import { translated } from '../../worker/jobs/temporal-errors.ts';

export function applyCommand(): Command {
  return new Command('apply')
    .description('Make the schedules what the files say: created, updated or left; nothing is started now.')
    .argument('<file...>', 'job files; one error in one of them applies nothing')
    .action(withContext(apply));
}

async function apply(context: CommandContext, files: string[]): CommandResult {
  const jobs = readSubmittableJobs(files, context.config());
  const access = await context.temporal();
  await ensureSearchAttributes({ connection: access.connection, namespace: access.target.namespace });
  const results = [];
  for (const submittable of jobs) {
    const { kind, name } = submittable.job;
    try {
      const applied = await applySchedule(access, submittable);
      results.push({ name, kind, ...applied });
      context.output.line(`${kind}/${name}: ${sentence(applied)}`);
    } catch (error) {
      throw translated(error, { target: access.target, job: name });
    }
  }
  context.output.value(results);
  return 0;
}

function sentence({ outcome, drifted, nextRunAt }: Applied): string {
  const next = nextRunAt === null ? 'no next run' : `next run ${nextRunAt}`;
  switch (outcome) {
    case 'none':
      return 'valid, without a schedule; `syncline run` starts it';
    case 'removed':
      return 'valid, without a schedule; the one it had is deleted';
    case 'updated':
      return `schedule updated${drifted ? ' (it had been changed outside and is set back)' : ''}, ${next}`;
    case 'created':
    case 'unchanged':
      return `schedule ${outcome}, ${next}`;
  }
}
