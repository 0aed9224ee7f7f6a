import { Command, InvalidArgumentError, Option } from 'commander';
import { durationMs } from '../../definitions/units.ts';
import { duplicationOf, openLinks } from '../../worker/jobs/links.ts';
import { liveLinksOf } from '../../worker/jobs/link-heartbeats.ts';
import type { LinkMetrics } from '../../worker/jobs/link-metrics.ts';
import { measureLink } from '../../worker/jobs/measure-link.ts';
import { type CommandContext, type CommandResult, withContext } from '../context.ts';
import { findDuplication, type LinkOption, linkOption } from '../link-option.ts';
import { metricsLines } from '../render/links.ts';

interface MetricsOptions extends LinkOption {
  /** Milliseconds. */
  readonly since: number | 'start';
}

export function metricsCommand(): Command {
  return new Command('metrics')
    .description(
      'Show how a duplication did over the last while: batches, cost, lag, rates, failures; from the ledgers of its targets.',
    )
    .argument('<job>', 'name of the job')
    .addOption(
      new Option(
        '--since <duration>',
        'the last so long, or `start`: as far back as batches are remembered (the last 10,000)',
      )
        .argParser(sinceOf)
        .default(30_000, '30s'),
    )
    .option(...linkOption)
    .action(withContext(metrics));
}

async function metrics(context: CommandContext, name: string, options: MetricsOptions): CommandResult {
  const { output } = context;
  const access = await context.temporal();
  const address = await findDuplication(access, name);
  const asking = context.asking(access);
  const job = await duplicationOf(asking, address);
  const stores = await asking.stores();
  const live = await liveLinksOf(access, address);
  const windowMs = options.since === 'start' ? null : options.since;
  const measured: LinkMetrics[] = [];
  for (const link of await openLinks(asking, { address, target: options.target })) {
    const one = await measureLink(stores, { job, link, live: live.get(link.ref.target) }, windowMs);
    if (one === null) output.note(`${link.ref.target}: the link is not made yet.`);
    else measured.push(one);
  }
  output.value({ name: address.name, kind: address.kind, links: measured });
  for (const line of measured.flatMap(metricsLines)) output.line(line);
  return 0;
}

function sinceOf(text: string): number | 'start' {
  if (text === 'start') return text;
  const ms = durationMs(text);
  if (ms !== null && ms > 0) return ms;
  throw new InvalidArgumentError('expected a duration such as `30s`, or `start`');
}
