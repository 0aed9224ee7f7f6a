import { z } from 'zod';
import { parseTablePattern } from '../table-pattern.ts';
import { header } from './header.ts';
import { runShape } from './run.ts';
import { defaults, tableSource } from './tables.ts';
import type { TableEntry } from './tables.ts';
import { storeName, text } from './text.ts';

export const modeShape = z
  .enum(['replace', 'append', 'upsert'])
  .default('replace')
  .describe(
    'How rows on the target are treated. `replace`: each chunk takes the place of the old one at once. ' +
      '`append`: rows are added, once per window or, without one, once per run. `upsert`: rows are merged on the key.',
  );

export const createTablesShape = z
  .boolean()
  .default(false)
  .describe('Create missing schemas, tables and partitions from the catalogue of the source.');

const target = z
  .strictObject({
    store: storeName.describe('Name of a store in syncline.yaml.'),
    mode: modeShape,
    createTables: createTablesShape,
    schema: text.optional().describe('Schema on the target for all tables. Without it: that of the source.'),
  })
  .meta({ title: 'target' })
  .describe('Where it is written.');

/** Shape of a `copy` job as written. */
export const copyShape = z
  .strictObject({
    kind: z.literal('copy').describe('Kind of job: `copy` moves rows of tables from one store to another.'),
    name: header.name,
    description: header.description,
    source: tableSource,
    target,
    defaults: defaults.optional(),
    consistent: z
      .boolean()
      .default(false)
      .describe(
        'Make the target equal to one instant of the source, without holding a snapshot or a lock: the log of the source is ' +
          'followed while chunks are loaded, up to a cut. Needs what a duplication needs (wal_level = logical); `replace` of whole tables only.',
      ),
    run: runShape('count'),
    onFailure: header.onFailure,
    schedule: header.schedule,
  })
  .superRefine(checkTargets)
  .superRefine(checkAppendWindows)
  .superRefine(checkWatermarks)
  .superRefine(checkConsistent)
  .meta({ title: 'copy' });

export type CopyDefinition = z.output<typeof copyShape>;
interface Draft {
  readonly source: z.output<typeof tableSource>;
  readonly target: z.output<typeof target>;
  readonly defaults?: z.output<typeof defaults> | undefined;
}

function checkTargets(job: Draft, context: z.RefinementCtx): void {
  const seen = new Map<string, string>();
  for (const [index, entry] of job.source.tables.entries()) {
    const source = parseTablePattern(entry.name);
    if (source === null) continue;
    const schema = entry.target?.schema ?? job.target.schema ?? source.schema;
    const table = entry.target?.table ?? source.table;
    const path = ['source', 'tables', index];
    if (job.source.store === job.target.store && schema === source.schema && table === source.table) {
      const message = `\`${entry.name}\` would be copied onto itself`;
      context.addIssue({
        code: 'custom',
        message,
        path,
        params: { hint: 'name another target store or schema' },
      });
    }
    const key = JSON.stringify([schema, table]);
    const other = seen.get(key);
    if (other !== undefined && other !== entry.name) {
      const message = `\`${entry.name}\` and \`${other}\` go to the same table of the target`;
      context.addIssue({ code: 'custom', message, path });
    }
    seen.set(key, entry.name);
  }
}

function windowOf(job: Draft, entry: TableEntry) {
  return entry.window ?? job.source.window ?? job.defaults?.window;
}

/** An append is the same load while its windows are the same: they must exist for all tables and move on. */
function checkAppendWindows(job: Draft, context: z.RefinementCtx): void {
  if (job.target.mode !== 'append') return;
  const windows = job.source.tables.map((entry) => windowOf(job, entry));
  const present = windows.filter((window) => window !== undefined);
  if (present.length === 0) return;
  const add = (message: string, hint: string): void =>
    context.addIssue({ code: 'custom', message, path: ['target', 'mode'], params: { hint } });
  if (present.length < windows.length) {
    add('`append` needs a window for all tables or for none', 'split the job in two');
  }
  if (present.some(({ to }) => to === undefined)) {
    add('`append` with a window without `to` would add nothing after its first run', 'add `to: now`');
  }
  if (present.some(({ from, to }) => from === undefined && to !== undefined && to.kind !== 'absolute')) {
    add('`append` with a window without `from` would add the same rows in each run', 'add `from: watermark`');
  }
}

/** The log carries every change of a table, and knows neither windows nor conditions. */
function checkConsistent(job: Draft & { readonly consistent: boolean }, context: z.RefinementCtx): void {
  if (!job.consistent) return;
  const refuse = (what: string): void =>
    context.addIssue({
      code: 'custom',
      message: `\`consistent: true\` is for whole tables: it does not go with ${what}`,
      path: ['consistent'],
    });
  if (job.target.mode !== 'replace') refuse(`\`mode: ${job.target.mode}\``);
  const entries = [job.source, job.defaults ?? {}, ...job.source.tables];
  for (const option of ['where', 'window', 'chunks'] as const)
    if (entries.some((entry) => entry[option] !== undefined)) refuse(`\`${option}\``);
}

/** A job has one watermark. */
function checkWatermarks(job: Draft, context: z.RefinementCtx): void {
  const ends = job.source.tables
    .map((entry) => windowOf(job, entry))
    .filter((window) => window?.from?.kind === 'watermark')
    .map((window) => JSON.stringify([window?.to, window?.timezone ?? null]));
  if (new Set(ends).size < 2) return;
  context.addIssue({
    code: 'custom',
    message:
      'tables that begin at the watermark must have the same `to` and `timezone`: a job has one watermark',
    path: ['source', 'tables'],
    params: { hint: 'split the job' },
  });
}
