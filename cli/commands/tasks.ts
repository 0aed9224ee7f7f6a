import { Command, InvalidArgumentError } from 'commander';
import { openLinks } from '../../worker/jobs/links.ts';
import { type LinkTask, tasksOf } from '../../worker/jobs/link-tasks.ts';
import { type CommandContext, type CommandResult, withContext } from '../context.ts';
import { findDuplication, type LinkOption, linkOption } from '../link-option.ts';
import { bytesText, countText, durationText, plural } from '../render/amounts.ts';
import { type Column, tableLines } from '../render/table.ts';

interface TasksOptions extends LinkOption {
  readonly limit: number;
}

export function tasksCommand(): Command {
  return new Command('tasks')
    .description(
      "List the newest batches of a duplication's log, and every transaction that is set aside, from the target's ledger.",
    )
    .argument('<job>', 'name of the job')
    .option(...linkOption)
    .option('--limit <tasks>', 'how many batches, and how many transactions, for each target', fromOne, 20)
    .action(withContext(tasks));
}

async function tasks(context: CommandContext, name: string, options: TasksOptions): CommandResult {
  const { output } = context;
  const access = await context.temporal();
  const address = await findDuplication(access, name);
  const found: LinkTask[] = [];
  for (const link of await openLinks(context.asking(access), { address, target: options.target }))
    found.push(...(await tasksOf(link, options.limit)));
  output.value(found);
  for (const line of tableLines(columns, found)) output.line(line);
  const skipped = found.filter(({ what }) => what === 'transaction').length;
  if (skipped > 0)
    output.line(
      `${plural(skipped, 'transaction')} set aside; \`syncline retry ${address.name}\` applies them after all.`,
    );
  return 0;
}

const columns: readonly Column<LinkTask>[] = [
  { title: 'TARGET', text: ({ target }) => target },
  { title: 'TASK', right: true, text: ({ what, id }) => (what === 'batch' ? String(id) : `dead ${id}`) },
  { title: 'STATE', text: ({ state }) => state },
  { title: 'FINISHED', text: ({ finishedAt }) => finishedAt },
  { title: 'TOOK', right: true, text: (task) => (task.what === 'batch' ? tookText(task) : '-') },
  { title: 'TRANSACTIONS', right: true, text: ({ transactions }) => countText(transactions) },
  { title: 'CHANGES', right: true, text: ({ changes }) => countText(changes) },
  { title: 'BYTES', right: true, text: ({ bytes }) => (bytes === null ? '-' : bytesText(bytes)) },
  {
    title: 'LAG P99',
    right: true,
    text: ({ lagP99Ms }) => (lagP99Ms === null ? '-' : `${Math.round(lagP99Ms)} ms`),
  },
  { title: 'WHY', text: whyText },
];

function tookText({ startedAt, finishedAt }: LinkTask): string {
  const ms = Date.parse(finishedAt) - Date.parse(startedAt);
  return ms < 1_000 ? `${ms} ms` : durationText(ms);
}

function whyText({ code, reason, tables }: LinkTask): string {
  if (code === null) return '';
  const where = tables.length === 0 ? '' : `${tables.join(', ')}: `;
  return `${where}${reason ?? 'a transaction of it was set aside'} (${code})`;
}

function fromOne(text: string): number {
  if (/^[1-9]\d{0,4}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected a number from 1 to 99999');
}
