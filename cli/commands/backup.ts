import { Command, InvalidArgumentError } from 'commander';
import { SynclineError } from '../../definitions/errors.ts';
import { backupsToPrune } from '../../planning/keep.ts';
import { backupNamed, type Backups, openBackups, type PlaceOptions, placesBelow } from '../backups/place.ts';
import { Verification, type VerifiedBackup } from '../backups/verify.ts';
import { type CommandContext, type CommandResult, withContext } from '../context.ts';
import { exitCodes } from '../exit-codes.ts';
import { plural } from '../render/amounts.ts';
import { backupLines, listLines, verifiedLines } from '../render/backups.ts';

/** Backups where they lie: no Temporal, no worker and no database is needed. */
export function backupCommand(): Command {
  const backup = new Command('backup').description(
    'Look at backups where they lie, in a directory or a store: without Temporal, worker or database.',
  );
  const commands = [listSubcommand, showSubcommand, verifySubcommand, pruneSubcommand];
  for (const make of commands) backup.addCommand(make().copyInheritedSettings(backup));
  return backup;
}

function at(command: Command, words: string): Command {
  return command
    .argument('[words...]', `${words}; with --store no directory`)
    .option('--store <name>', 'instead of a directory: a store of syncline.yaml')
    .option('--path <path>', 'with --store: where in it, as in the job')
    .option(
      '--key-env <variable>',
      'of an encrypted backup in a directory: the variable that holds its key; may be given again for earlier keys',
      (name: string, names: readonly string[] | undefined) => [...(names ?? []), name],
    );
}

function listSubcommand(): Command {
  return at(new Command('list'), 'the directory of a job')
    .description('List the backups of a place, the newest first; ends with 1 when a manifest cannot be read.')
    .action(withContext(list));
}

async function list(context: CommandContext, words: string[], options: PlaceOptions): CommandResult {
  const { output } = context;
  const { backups: place, rest } = await openBackups(context, words, options);
  expectNoMore(rest);
  const { backups, broken } = await place.catalog.list();
  output.value({ place: place.title, backups, broken });
  for (const line of listLines(backups, broken)) output.line(line);
  const [directory] = words;
  if (backups.length + broken.length === 0 && options.store === undefined && directory !== undefined) {
    for (const below of placesBelow(directory)) output.note(`A job keeps its backups in ${below}.`);
  }
  return broken.length === 0 ? exitCodes.done : exitCodes.failed;
}

function showSubcommand(): Command {
  return at(new Command('show'), 'the directory of a job, and the id of a backup (default: the newest)')
    .description('Show what a backup holds: tables, rows, windows, encryption, what it refers to.')
    .action(withContext(show));
}

async function show(context: CommandContext, words: string[], options: PlaceOptions): CommandResult {
  const { output } = context;
  const { backups: place, rest } = await openBackups(context, words, options);
  const [name, ...more] = rest;
  expectNoMore(more);
  const backup = await backupNamed(place, name);
  const summary = await place.catalog.read(backup);
  const plans = await place.catalog.plans(backup);
  const layout = plans.map(({ source, columns, format }) => ({ ...source, columns, format }));
  output.value({ ...summary, layout });
  for (const line of backupLines(summary, plans)) output.line(line);
  return exitCodes.done;
}

interface VerifyOptions extends PlaceOptions {
  readonly all?: boolean;
  readonly hashOnly?: boolean;
}

function verifySubcommand(): Command {
  return at(new Command('verify'), 'the directory of a job, and the ids of backups (default: the newest)')
    .option('--all', 'every backup of the place')
    .option('--hash-only', 'only hash the objects; do not decrypt, decompress and count the rows')
    .description(
      'Hash every object that a backup needs and read all its rows; ends with 1 and names each bad object.',
    )
    .action(withContext(verify));
}

async function verify(context: CommandContext, words: string[], options: VerifyOptions): CommandResult {
  const { output } = context;
  const { all, hashOnly } = options;
  const { backups: place, rest } = await openBackups(context, words, options);
  if (all === true) expectNoMore(rest);
  const verification = new Verification(place, { hashOnly: hashOnly === true });
  const verified: VerifiedBackup[] = [];
  for (const backup of all === true ? await everyBackup(place) : await named(place, rest)) {
    const one = await verification.verify(backup);
    verified.push(one);
    for (const line of verifiedLines(one)) output.line(line);
  }
  const ok = verified.every(({ bad }) => bad.length === 0);
  output.value({ place: place.title, ok, backups: verified });
  return ok ? exitCodes.done : exitCodes.failed;
}

async function named(place: Backups, names: readonly string[]): Promise<readonly string[]> {
  const ids: string[] = [];
  for (const name of names.length === 0 ? ['latest'] : names) ids.push(await backupNamed(place, name));
  return ids;
}

async function everyBackup(place: Backups): Promise<readonly string[]> {
  const { backups, broken } = await place.catalog.list();
  const ids = [...backups, ...broken].map(({ backup }) => backup);
  if (ids.length === 0) throw new SynclineError('artifact.missing', `There is no backup at ${place.title}.`);
  return ids.sort().reverse();
}

interface PruneOptions extends PlaceOptions {
  readonly keepLast?: number;
  readonly keepDays?: number;
  readonly dryRun?: boolean;
}

function pruneSubcommand(): Command {
  return at(new Command('prune'), 'the directory of a job')
    .option('--keep-last <number>', 'the newest so many stay', fromOne)
    .option('--keep-days <number>', 'those younger than so many days stay', fromOne)
    .option('--dry-run', 'only say which backups would go')
    .description(
      'Remove backups that neither rule keeps, and objects that no other one needs; the newest always stays.',
    )
    .action(withContext(prune));
}

async function prune(context: CommandContext, words: string[], options: PruneOptions): CommandResult {
  const { output } = context;
  const { keepLast: last = null, keepDays: days = null, dryRun } = options;
  if (last === null && days === null)
    throw new SynclineError('definition.invalid', 'Name at least one of --keep-last, --keep-days.');
  const { backups: place, rest } = await openBackups(context, words, options);
  expectNoMore(rest);
  const keep = { last, days, now: new Date().toISOString() };
  const pruned =
    dryRun === true
      ? { backups: await wouldGo(place, keep), objects: null }
      : await place.catalog.prune(keep);
  output.value({ place: place.title, dryRun: dryRun === true, ...pruned });
  for (const backup of pruned.backups)
    output.line(`${backup}: ${dryRun === true ? 'would be removed' : 'removed'}`);
  const objects = pruned.objects === null ? '' : `, ${plural(pruned.objects, 'object')} removed`;
  output.line(`${plural(pruned.backups.length, 'backup')}${objects}`);
  return exitCodes.done;
}

/** As `prune` itself: while a manifest cannot be read, nothing goes. */
async function wouldGo(
  { catalog }: Backups,
  keep: Parameters<typeof backupsToPrune>[1],
): Promise<readonly string[]> {
  const { backups, broken } = await catalog.list();
  const [first] = broken;
  if (first !== undefined) await catalog.read(first.backup);
  return backupsToPrune(backups, keep);
}

function expectNoMore(words: readonly string[]): void {
  if (words.length === 0) return;
  throw new SynclineError('definition.invalid', `Too many words: ${words.join(' ')}.`);
}

function fromOne(text: string): number {
  if (/^[1-9]\d{0,4}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected a number from 1');
}
