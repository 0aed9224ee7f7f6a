import { Command } from 'commander';
import { type ListedJob, listJobs } from '../../worker/jobs/list-jobs.ts';
import { type CommandContext, type CommandResult, withContext } from '../context.ts';
import { type Column, tableLines } from '../render/table.ts';

export function listCommand(): Command {
  return new Command('list')
    .description('List the jobs of the namespace: latest run and next scheduled one.')
    .option('--limit <jobs>', 'how many jobs', (text) => Math.max(1, Number.parseInt(text, 10) || 1), 100)
    .action(withContext(list));
}

async function list(context: CommandContext, { limit }: { limit: number }): CommandResult {
  const { output } = context;
  const rows = await listJobs(await context.temporal(), limit);
  output.value(rows);
  if (rows.length === 0) output.line('No jobs yet; `syncline run FILE` starts one.');
  else for (const line of tableLines(columns, rows)) output.line(line);
  return 0;
}

const columns: readonly Column<ListedJob>[] = [
  { title: 'JOB', text: ({ kind, name }) => `${kind}/${name}` },
  { title: 'STATE', text: ({ state, needsAttention }) => (needsAttention ? `${state}, attention` : state) },
  { title: 'PHASE', text: ({ state, phase }) => (phase === null || phase === state ? '-' : phase) },
  { title: 'STARTED', text: ({ startedAt }) => startedAt ?? '-' },
  { title: 'ENDED', text: ({ endedAt }) => endedAt ?? '-' },
  { title: 'NEXT', text: ({ nextRunAt }) => nextRunAt ?? '-' },
];
