import { z } from 'zod';
import { parseTablePattern } from '../table-pattern.ts';
import { header } from './header.ts';
import { tableNames, tableOptions } from './tables.ts';
import { duration, rate, refused, size, storeName, text } from './text.ts';

/** What every row of a table must be in: the log cannot tell which rows a condition had let through before. */
const wholeTables = {
  where: refused(
    'a duplication follows whole tables, every row of them',
    'remove it; `copy` and `backup-restore` take conditions',
  ),
  window: refused(
    'a duplication follows whole tables, every row of them',
    'remove it; `copy` and `backup-restore` take windows',
  ),
  chunks: refused(
    'a duplication follows whole tables, every partition of them',
    'remove it, or name the partitions as tables',
  ),
};

const tableEntry = z
  .strictObject({
    name: tableNames.pattern.describe(
      '`schema.table`; `*` stands for any text, a name with a dot is quoted: `"a.b".t`.',
    ),
    columns: tableOptions.columns,
    chunkBytes: tableOptions.chunkBytes,
    ...wholeTables,
    target: tableNames.rename.optional(),
  })
  .superRefine(tableNames.checkRename)
  .meta({ title: 'followed table' });

const plainEntry = tableNames.pattern.transform((name): z.output<typeof tableEntry> => ({ name }));

const source = z
  .strictObject({
    store: storeName.describe('Name of a store in syncline.yaml; its log is followed.'),
    tables: z
      .array(z.union([plainEntry, tableEntry]))
      .min(1)
      .superRefine(tableNames.checkRepeated)
      .describe(
        'Tables to follow: `schema.table`, with `*` for any text, or a mapping with options. Tables and partitions that match later join.',
      ),
    columns: tableOptions.columns,
    chunkBytes: tableOptions.chunkBytes,
    ...wholeTables,
  })
  .meta({ title: 'followed source' })
  .describe('What is followed. The options below `tables` hold for every table that does not set its own.');

const targetEntry = z
  .strictObject({
    store: storeName.describe('Name of a store in syncline.yaml.'),
    schema: text
      .optional()
      .describe('Schema there for all tables that name none of their own. Without it: that of the source.'),
  })
  .meta({ title: 'link target' });

const target = z.union([storeName.transform((store): LinkTarget => ({ store })), targetEntry]);

type LinkTarget = z.output<typeof targetEntry>;

const load = z
  .strictObject({
    checkpoint: z
      .boolean()
      .default(true)
      .describe(
        'Load the tables first, chunk by chunk, while the log flows already. `false`: they are on the target and equal; the log begins now.',
      ),
    createTables: z
      .boolean()
      .default(true)
      .describe(
        'Create missing schemas, tables and partitions from the catalogue of the source, later ones too.',
      ),
    parallel: z
      .int()
      .min(1)
      .max(1000)
      .default(4)
      .describe('Chunks in flight at a time, over all workers, for each target.'),
    memory: size(1_000_000, '1MB')
      .prefault('256MB')
      .describe('Bound on the buffers of one worker for this job.'),
    throttle: rate
      .optional()
      .describe(
        'Most bytes per second of the load, over all chunks in flight. The log is never throttled. Without it: no limit.',
      ),
    verify: z
      .enum(['none', 'count', 'digest'])
      .default('digest')
      .describe(
        'What is compared on both sides before the rows of a chunk become visible: nothing, their number, or their content too.',
      ),
  })
  .prefault({})
  .meta({ title: 'load' })
  .describe('How the tables are loaded: at the beginning, when tables join, and when some are loaded again.');

const batch = z
  .strictObject({
    changes: z
      .int()
      .min(1)
      .max(10_000_000)
      .default(20_000)
      .describe('Most changes of a batch; it ends with the transaction that reaches them.'),
    bytes: size(1_000, '1KB').prefault('8MB').describe('Most bytes of a batch.'),
    every: duration(1, '1ms')
      .prefault('500ms')
      .describe('Longest time that a change waits for its batch to fill.'),
  })
  .prefault({})
  .meta({ title: 'batch' })
  .describe(
    'Whole transactions of the source are put together and committed as one on the target. A batch ends with whichever comes first.',
  );

const log = z
  .strictObject({
    batch,
    lanes: z
      .int()
      .min(1)
      .max(64)
      .default(1)
      .describe(
        'Sessions over which the keys of a batch are spread. Only 1 keeps every commit boundary of the source.',
      ),
    laggingAfter: duration(1, '1ms')
      .prefault('10s')
      .describe('A transaction that is later than this on the target counts as lagging.'),
    durability: z
      .enum(['sync', 'async'])
      .default('sync')
      .describe(
        '`sync`: a commit on the target is on its disk before the source may forget it. `async`: faster; after a crash of the target the last batches are applied again.',
      ),
    keyless: z
      .enum(['refuse', 'insertsOnly'])
      .default('refuse')
      .describe(
        'What of a table that has neither a key nor replica identity full: `refuse` it, or follow only its inserts.',
      ),
  })
  .prefault({})
  .meta({ title: 'log' })
  .describe('How the log is followed.');

const retention = z
  .strictObject({
    maxLog: size(1_000_000, '1MB')
      .prefault('50GB')
      .describe(
        'Most log that the source keeps for one target, together with what waits in the spool on the target.',
      ),
    onExceed: z
      .enum(['stop', 'alarm'])
      .default('stop')
      .describe(
        '`stop`: the slot is dropped, the link stops, and resuming loads again what differs. `alarm`: it is only said.',
      ),
  })
  .prefault({})
  .meta({ title: 'retention' })
  .describe('A target that is paused or away may not fill the disk of the source.');

/** Shape of a `duplication` job as written. */
export const duplicationShape = z
  .strictObject({
    kind: z
      .literal('duplication')
      .describe('Kind of job: `duplication` loads tables and then follows their log, until it is removed.'),
    name: header.name,
    description: header.description,
    source,
    targets: z
      .array(target)
      .min(1)
      .optional()
      .describe(
        'Where it goes: names of stores, or mappings. Each target has a link of its own and holds nobody else up.',
      ),
    target: target.optional().describe('Short for `targets` with one entry.'),
    load,
    log,
    retention,
    onFailure: header.onFailure,
    schedule: refused(
      'a duplication has no schedule: it runs until it is removed',
      'remove it; `syncline run` starts the job, `syncline pause` and `syncline resume` interrupt it',
    ),
  })
  .superRefine(checkTargets)
  .superRefine(checkTables)
  .meta({ title: 'duplication' });

export type DuplicationDefinition = z.output<typeof duplicationShape>;

interface Draft {
  readonly source: z.output<typeof source>;
  readonly targets?: readonly LinkTarget[] | undefined;
  readonly target?: LinkTarget | undefined;
}

/** However they were written. */
export function linkTargets({ targets, target: only }: Draft): readonly LinkTarget[] {
  return targets ?? (only === undefined ? [] : [only]);
}

function checkTargets(job: Draft, context: z.RefinementCtx): void {
  const add = (path: (string | number)[], message: string, hint: string | null = null): void =>
    context.addIssue({ code: 'custom', message, path, params: { hint } });
  if (job.targets === undefined && job.target === undefined) {
    add([], 'missing key `targets`', 'name at least one store');
  }
  if (job.targets !== undefined && job.target !== undefined) {
    add(['target'], 'is short for `targets`, which is there too', 'put it into the list');
  }
  const stores = linkTargets(job).map(({ store }) => store);
  for (const [index, store] of stores.entries()) {
    if (stores.indexOf(store) === index) continue;
    const hint = 'a second job can follow the same tables into another schema';
    add(['targets', index], `store \`${store}\` is a target twice`, hint);
  }
}

/** Nothing goes onto itself, and no two tables to the same place. */
function checkTables(job: Draft, context: z.RefinementCtx): void {
  for (const target of linkTargets(job)) {
    const seen = new Map<string, string>();
    for (const [index, entry] of job.source.tables.entries()) {
      const from = parseTablePattern(entry.name);
      if (from === null) continue;
      const schema = entry.target?.schema ?? target.schema ?? from.schema;
      const table = entry.target?.table ?? from.table;
      const add = (message: string, hint: string | null = null): void =>
        context.addIssue({ code: 'custom', message, path: ['source', 'tables', index], params: { hint } });
      if (job.source.store === target.store && schema === from.schema && table === from.table) {
        add(`\`${entry.name}\` would be followed onto itself`, 'name another target store or schema');
      }
      const key = JSON.stringify([schema, table]);
      const other = seen.get(key);
      if (other !== undefined && other !== entry.name) {
        add(`\`${entry.name}\` and \`${other}\` go to the same table of target \`${target.store}\``);
      }
      seen.set(key, entry.name);
    }
  }
}
