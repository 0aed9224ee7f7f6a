import { setTimeout as delay } from 'node:timers/promises';
import { Command } from 'commander';
import type { JobStatus } from '../../definitions/contracts/status.ts';
import { type CommandContext, type CommandResult, withContext } from '../context.ts';
import { findJob } from '../../worker/jobs/job-address.ts';
import { readStatus } from '../../worker/jobs/job-status.ts';
import { ledgerOf } from '../../worker/jobs/ledger.ts';
import { statusLines } from '../render/status.ts';

interface StatusOptions {
  readonly watch?: boolean;
}

export function statusCommand(): Command {
  return new Command('status')
    .description('Show where a job is; without a worker, what visibility and the ledger say.')
    .argument('<job>', 'name of the job')
    .option('-w, --watch', 'show it again every second until the job ends')
    .action(withContext(status));
}

async function status(context: CommandContext, name: string, { watch }: StatusOptions): CommandResult {
  const { output } = context;
  const access = await context.temporal();
  const address = await findJob(access, name);
  for (;;) {
    const current = await readStatus(access, address, () => ledgerOf(context.asking(access), address));
    if (output.terminal && watch === true) process.stdout.write('\u001b[H\u001b[J');
    show(context, current);
    if (watch !== true || current.endedAt !== null) return 0;
    await delay(1_000);
  }
}

function show({ output }: CommandContext, current: JobStatus): void {
  output.value(current);
  for (const line of statusLines(current, Date.now())) output.line(line);
}
