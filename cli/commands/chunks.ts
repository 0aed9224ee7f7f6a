import { Command, InvalidArgumentError, Option } from 'commander';
import { type BackupStage, backupStages } from '../../definitions/contracts/job.ts';
import type { UnitRecord } from '../../stores/spi/load-ledger.ts';
import type { TemporalAccess } from '../../worker/connection.ts';
import { type CommandContext, type CommandResult, withContext } from '../context.ts';
import { findJob, type JobAddress } from '../../worker/jobs/job-address.ts';
import { openLedger } from '../../worker/jobs/ledger.ts';
import { type PendingUnit, pendingUnits } from '../pending-units.ts';
import { bytesText, countText, plural } from '../render/amounts.ts';
import { type Column, tableLines } from '../render/table.ts';

interface ChunksOptions {
  readonly skipped?: boolean;
  readonly failing?: boolean;
  readonly stage?: BackupStage;
  readonly target?: string;
  readonly load?: string;
  readonly after: number;
  readonly limit: number;
}

export function chunksCommand(): Command {
  return new Command('chunks')
    .description("List the chunks of a job's latest load and what became of them, from the target's ledger.")
    .argument('<job>', 'name of the job')
    .option('--skipped', 'only those set aside, and why; `syncline retry` loads them again')
    .option(
      '--failing',
      'only those that fail at the moment, and why; of those that wait inside the job the worst one (asks Temporal, not the ledger)',
    )
    .addOption(
      new Option(
        '--stage <stage>',
        'of a backup-restore: which stage (default: the one under way, or the last)',
      ).choices(backupStages),
    )
    .option('--target <store>', 'of a duplication: on which target (default: the first)')
    .option('--load <identity>', 'of a duplication: which of its loads (default: the latest)')
    .option('--after <number>', 'begin after this one', wholeNumber, 0)
    .option('--limit <chunks>', 'how many', wholeNumber, 1000)
    .action(withContext(chunks));
}

async function chunks(context: CommandContext, name: string, options: ChunksOptions): CommandResult {
  const access = await context.temporal();
  const address = await findJob(access, name);
  return options.failing === true
    ? await listFailing(context, access, address)
    : await listRecords(context, access, { ...options, address });
}

async function listRecords(
  context: CommandContext,
  access: TemporalAccess,
  {
    address,
    stage,
    target,
    load: wanted,
    skipped,
    after,
    limit,
  }: ChunksOptions & { readonly address: JobAddress },
): Promise<number> {
  const { output } = context;
  const question = {
    address,
    ...(stage === undefined ? {} : { stage }),
    ...(target === undefined ? {} : { target }),
    ...(wanted === undefined ? {} : { load: wanted }),
  };
  const { ledger, load, stage: shown, others = [] } = await openLedger(context.asking(access), question);
  const request = { after, limit, onlySkipped: skipped === true };
  const records = load === null ? [] : await ledger.records({ ref: load.ref, ...request });
  output.value(records);
  if (shown !== null) output.line(`Stage ${shown}`);
  if (load !== null && others.length > 0)
    output.line(`Load ${load.ref.load}; there are also ${others.join(', ')} (--load)`);
  for (const line of tableLines(recordColumns, records)) output.line(line);
  output.line(
    records.length === limit
      ? `There may be more: --after ${records.at(-1)?.ordinal ?? 0}`
      : plural(records.length, 'unit'),
  );
  return 0;
}

async function listFailing(
  { output }: CommandContext,
  access: TemporalAccess,
  address: JobAddress,
): Promise<number> {
  const failing = await pendingUnits(access, address);
  output.value(failing);
  for (const line of tableLines(failingColumns, failing)) output.line(line);
  output.line(`${countText(failing.length)} failing`);
  return 0;
}

const recordColumns: readonly Column<UnitRecord>[] = [
  { title: 'UNIT', right: true, text: ({ ordinal }) => String(ordinal) },
  { title: 'CHUNK', text: ({ chunk }) => chunk },
  { title: 'SLICE', right: true, text: ({ kind, slice }) => (kind === 'slice' ? String(slice) : kind) },
  { title: 'STATE', text: ({ state }) => state },
  { title: 'ROWS', right: true, text: ({ rows }) => (rows === null ? '-' : countText(rows)) },
  {
    title: 'BYTES',
    right: true,
    text: ({ state, bytes }) => `${state === 'done' ? '' : '~'}${bytesText(bytes)}`,
  },
  { title: 'WHY', text: ({ code, message }) => (code === null ? '' : `${message ?? ''} (${code})`) },
];

const failingColumns: readonly Column<PendingUnit>[] = [
  { title: 'ACTIVITY', text: ({ activity }) => activity },
  { title: 'ATTEMPT', right: true, text: ({ attempt }) => (attempt === null ? '-' : String(attempt)) },
  { title: 'NEXT', text: ({ nextAttemptAt }) => nextAttemptAt ?? '-' },
  { title: 'WHY', text: ({ code, message }) => `${message} (${code})` },
];

function wholeNumber(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected a whole number');
}
