import { Command } from 'commander';
import { type CommandContext, type CommandResult, withContext } from '../context.ts';
import { describeExisting, findJob } from '../../worker/jobs/job-address.ts';
import { type Column, tableLines } from '../render/table.ts';
import { uiLink } from '../ui-link.ts';

export function historyCommand(): Command {
  return new Command('history')
    .description(
      'Print the link into the Temporal UI, and the latest runs. TEMPORAL_UI_URL says where the UI is.',
    )
    .argument('<job>', 'name of the job')
    .option('--limit <runs>', 'how many runs', (text) => Math.max(1, Number.parseInt(text, 10) || 1), 10)
    .action(withContext(history));
}

async function history(context: CommandContext, name: string, { limit }: { limit: number }): CommandResult {
  const { output } = context;
  const access = await context.temporal();
  const address = await findJob(access, name);
  const latest = await describeExisting(access, address);
  const runs: Run[] = [];
  for await (const run of access.client.workflow.list({ query: `WorkflowId = '${address.workflowId}'` })) {
    runs.push({
      runId: run.runId,
      status: run.status.name.toLowerCase().replaceAll('_', ' '),
      startedAt: run.startTime.toISOString(),
      endedAt: run.closeTime?.toISOString() ?? null,
      events: run.historyLength,
      url: uiLink(access.target, address, run.runId),
    });
    if (runs.length >= limit) break;
  }
  const url = uiLink(access.target, address, latest.runId);
  output.value({ name: address.name, kind: address.kind, url, runs });
  output.line(url);
  for (const line of tableLines(columns, runs)) output.line(line);
  return 0;
}

interface Run {
  readonly runId: string;
  readonly status: string;
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly events: number;
  readonly url: string;
}

const columns: readonly Column<Run>[] = [
  { title: 'STARTED', text: ({ startedAt }) => startedAt },
  { title: 'ENDED', text: ({ endedAt }) => endedAt ?? '-' },
  { title: 'STATUS', text: ({ status }) => status },
  { title: 'EVENTS', right: true, text: ({ events }) => String(events) },
  { title: 'RUN', text: ({ runId }) => runId },
];
