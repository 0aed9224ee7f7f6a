import { z } from 'zod';
import { parseTablePattern, tablePatternText } from '../table-pattern.ts';
import { refuse, size, storeName, text } from './text.ts';
import { window } from './window.ts';

/** Applied after `source` and `defaults` (resolve.ts), so the shape may not fill them in; json-schema.ts shows them. */
export const defaultChunks = '%';
export const defaultChunkBytes = '1GB';

const columns = z
  .array(text)
  .min(1)
  .superRefine((names, context) => {
    for (const [index, name] of names.entries()) {
      if (names.indexOf(name) === index) continue;
      context.addIssue({ code: 'custom', message: `column \`${name}\` is listed twice`, path: [index] });
    }
  });

/** What may be said of one table, of all under `source`, and under `defaults`. */
export const tableOptions = {
  columns: columns
    .optional()
    .describe('Columns to copy; names are case-sensitive. Without it: all but generated ones.'),
  where: text
    .optional()
    .describe('SQL condition of the source, e.g. `qty > 0`; only rows that meet it are copied.'),
  window: window
    .optional()
    .describe('Copies only rows whose time lies in `[from, to)`, relative to when the run was due.'),
  chunks: text
    .optional()
    .meta({ appliedDefault: defaultChunks })
    .describe(
      'Copies only partitions whose name matches this SQL LIKE pattern (`%` any text, `_` one character).',
    ),
  chunkBytes: size(1, '1B')
    .optional()
    .meta({ appliedDefault: defaultChunkBytes })
    .describe(
      'A partition bigger than this is cut into key ranges of about this size, each its own unit of work. ' +
        'Smaller repeats less after a failure; bigger is a little faster.',
    ),
};

const pattern = z
  .string()
  .meta({ pattern: tablePatternText })
  .superRefine((value, context) => {
    if (parseTablePattern(value) !== null) return;
    const bare = /^[^\s."]+$/.test(value);
    refuse(context, 'expected `schema.table`', bare ? `write \`public.${value}\`` : null);
  });

const rename = z
  .strictObject({
    schema: text
      .optional()
      .describe(
        'Schema on the target. Without it: `schema` of the target as a whole, else that of the source.',
      ),
    table: text.optional().describe('Table on the target. Without it: the name on the source.'),
  })
  .meta({ title: 'table target' })
  .describe('Where this table goes.');

const tableEntry = z
  .strictObject({
    name: pattern.describe(
      '`schema.table`; `*` stands for any text, a name with a dot is quoted: `"a.b".t`.',
    ),
    ...tableOptions,
    target: rename.optional(),
  })
  .superRefine(checkRename)
  .meta({ title: 'table' });

function checkRename(
  value: { readonly name: string; readonly target?: { readonly table?: string | undefined } | undefined },
  context: z.RefinementCtx,
): void {
  if (value.target?.table === undefined || parseTablePattern(value.name)?.wildcard !== true) return;
  context.addIssue({
    code: 'custom',
    message: 'one name cannot stand for all tables of a wildcard',
    path: ['target', 'table'],
    params: { hint: 'list the tables, or set only `schema`' },
  });
}

const plainEntry = pattern.transform((name): z.output<typeof tableEntry> => ({ name }));

const tables = z
  .array(z.union([plainEntry, tableEntry]))
  .min(1)
  .superRefine(checkRepeated);

function checkRepeated(entries: readonly { readonly name: string }[], context: z.RefinementCtx): void {
  const names = entries.map((entry) => entry.name);
  for (const [index, name] of names.entries()) {
    if (names.indexOf(name) === index) continue;
    context.addIssue({ code: 'custom', message: `table \`${name}\` is listed twice`, path: [index] });
  }
}

export const defaults = z
  .strictObject(tableOptions)
  .meta({ title: 'defaults' })
  .describe('Options of every table that neither the table nor `source` sets.');

/** Shape of `source` of kinds that read tables. */
export const tableSource = z
  .strictObject({
    store: storeName.describe('Name of a store in syncline.yaml.'),
    tables: tables.describe(
      'Tables to copy: `schema.table`, with `*` for any text, or a mapping with options.',
    ),
    ...tableOptions,
  })
  .meta({ title: 'source' })
  .describe('What is read. The options below `tables` hold for every table that does not set its own.');

/** For kinds whose entries have other options. */
export const tableNames = {
  pattern,
  rename,
  checkRename,
  checkRepeated,
  plain: pattern.transform((name) => ({ name })),
} as const;

export type TableOptions = z.output<typeof defaults>;
export type TableEntry = z.output<typeof tableEntry>;
