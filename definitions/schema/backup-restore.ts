import { z } from 'zod';
import { type BackupStage, backupStages } from '../contracts/job.ts';
import { createTablesShape, modeShape } from './copy.ts';
import { header } from './header.ts';
import { runShape } from './run.ts';
import { defaults, tableNames, tableSource } from './tables.ts';
import { duration, size, storeName, text } from './text.ts';
import { window } from './window.ts';

const path = z
  .string()
  .regex(
    /^(?!\.)[A-Za-z0-9._=@+-]+(\/(?!\.)[A-Za-z0-9._=@+-]+)*\/?$/,
    'expected a path below the root of the store such as `trades/`, of letters, digits and `. _ - = @ +`',
  )
  .describe('Where this job keeps its backups, below the root of the store; no other job may use it.');

const fileStore = storeName.describe('Name of a store for files in syncline.yaml.');

const backup = z
  .strictObject({
    store: fileStore,
    path,
    format: z
      .enum(['binary', 'csv'])
      .default('binary')
      .describe('`binary`: the form of the database itself, faster and exact. `csv`: for other readers too.'),
    compression: z
      .enum(['zstd', 'gzip', 'none'])
      .default('zstd')
      .describe('How objects are compressed, while they are written.'),
    level: z
      .int()
      .min(1)
      .max(19)
      .optional()
      .describe('Level of the compression; gzip has 1 to 9. Without it: a fast one.'),
    encrypt: z
      .boolean()
      .default(false)
      .describe(
        'Encrypt every object (AES-256-GCM) with the key of the store, `encryption.key` in syncline.yaml.',
      ),
    incremental: z
      .boolean()
      .default(true)
      .describe(
        'Refer to chunks that have not changed since the latest full backup instead of writing them again.',
      ),
    consistency: z
      .enum(['chunk', 'snapshot', 'cut'])
      .default('chunk')
      .describe(
        '`chunk`: each chunk is read at an instant of its own. `snapshot`: all at one, which the source must hold meanwhile. `cut`: each at its own, and what the log of the source says of them until one instant is kept beside their rows; no snapshot is held, but the log is.',
      ),
    snapshotLimit: duration(1_000, '1s')
      .prefault('4h')
      .describe('With `snapshot`: longest time that it may be held; then the backup fails.'),
    maxLog: size(1_000_000, '1MB')
      .optional()
      .describe(
        'With `cut`: how much log the source may keep for the backup; then it fails. Without it: 50GB.',
      ),
  })
  .superRefine((value, context) => {
    const wrong = (path: string, message: string): void =>
      context.addIssue({ code: 'custom', message, path: [path] });
    const isCut = value.consistency === 'cut';
    if (isCut && value.format !== 'binary') wrong('format', 'must be `binary` with `consistency: cut`');
    if (!isCut && value.maxLog !== undefined) wrong('maxLog', 'belongs to `consistency: cut`');
    if (value.level === undefined) return;
    if (value.compression === 'none') wrong('level', 'there is nothing to compress by');
    if (value.compression === 'gzip' && value.level > 9) wrong('level', 'must be at most 9 with gzip');
  })
  .meta({ title: 'backup' })
  .describe('Where and how backups are kept.');

const transfer = z
  .strictObject({
    to: z
      .strictObject({ store: fileStore, path })
      .meta({ title: 'transfer target' })
      .describe('The far end.'),
  })
  .meta({ title: 'transfer' })
  .describe('Copies the backup to another store for files; each object is verified by hash there.');

const restoredTable = z
  .strictObject({
    name: tableNames.pattern.describe('`schema.table` as at the source; `*` stands for any text.'),
    target: tableNames.rename.optional(),
    chunks: text.optional().describe('Only chunks whose name matches this SQL LIKE pattern.'),
    window: window.optional().describe('Only rows whose time lies in `[from, to)`.'),
  })
  .superRefine(tableNames.checkRename)
  .meta({ title: 'restored table' });

const restore = z
  .strictObject({
    store: storeName.describe('Name of a store in syncline.yaml.'),
    mode: modeShape,
    createTables: createTablesShape,
    only: z
      .enum(['changed', 'all'])
      .default('changed')
      .describe(
        '`changed`: a chunk whose content is on the target already is not written again. `all`: everything is.',
      ),
    backup: z
      .string()
      .regex(/^[A-Za-z0-9._-]+$/, 'expected the id of a backup, or `latest`')
      .default('latest')
      .describe(
        'Id of a backup, or `latest`. Of backups with a window, `latest` restores every one that the target has not yet, in order.',
      ),
    check: z
      .enum(['objects', 'sizes'])
      .default('objects')
      .describe(
        'Before anything on the target changes: `objects` hashes every object, `sizes` only looks whether each is there.',
      ),
    chunks: text.default('%').describe('Only chunks whose name matches this SQL LIKE pattern.'),
    window: window.optional().describe('Only rows whose time lies in `[from, to)`.'),
    schema: text.optional().describe('Schema on the target for all tables. Without it: that of the source.'),
    tables: z
      .array(z.union([tableNames.plain, restoredTable]))
      .min(1)
      .optional()
      .describe('Tables of the backup to restore. Without it: all.'),
  })
  .meta({ title: 'restore' })
  .describe('Where the backup is restored.');

const keep = z
  .strictObject({
    last: z.int().min(1).max(100_000).optional().describe('The newest so many are kept.'),
    days: z.int().min(1).max(100_000).optional().describe('Those younger than so many days are kept.'),
  })
  .refine((value) => value.last !== undefined || value.days !== undefined, 'has neither `last` nor `days`')
  .meta({ title: 'keep' })
  .describe('Which backups are kept at each end; a backup that either rule keeps stays. Without it: all.');

/** Shape of a `backup-restore` job as written. */
export const backupRestoreShape = z
  .strictObject({
    kind: z
      .literal('backup-restore')
      .describe(
        'Kind of job: `backup-restore` takes tables into files, carries the files, and restores them.',
      ),
    name: header.name,
    description: header.description,
    stages: z
      .array(z.enum(['backup', 'transfer', 'restore']))
      .min(1)
      .default(['backup', 'transfer', 'restore'])
      .describe('Which stages this job runs: any contiguous part of `[backup, transfer, restore]`.'),
    source: tableSource.optional(),
    backup,
    transfer: transfer.optional(),
    restore: restore.optional(),
    keep: keep.optional(),
    defaults: defaults.optional(),
    run: runShape('digest'),
    onFailure: header.onFailure,
    schedule: header.schedule,
  })
  .superRefine(checkStages)
  .superRefine(checkPlaces)
  .superRefine(checkWatermarks)
  .meta({ title: 'backup-restore' });

export type BackupRestoreDefinition = z.output<typeof backupRestoreShape>;
interface Draft {
  readonly stages: readonly BackupStage[];
  readonly source?: z.output<typeof tableSource> | undefined;
  readonly backup: z.output<typeof backup>;
  readonly transfer?: z.output<typeof transfer> | undefined;
  readonly restore?: z.output<typeof restore> | undefined;
  readonly defaults?: z.output<typeof defaults> | undefined;
}

function checkStages(job: Draft, context: z.RefinementCtx): void {
  const add = (path: string[], message: string, hint: string | null = null): void =>
    context.addIssue({ code: 'custom', message, path, params: { hint } });
  const { stages } = job;
  const first = backupStages.indexOf(stages[0] ?? 'backup');
  const wanted = backupStages.slice(first, first + stages.length);
  if (wanted.join() !== stages.join()) {
    add(['stages'], 'must be a contiguous part of `[backup, transfer, restore]`, in this order');
    return;
  }
  const needs = { backup: 'source', transfer: 'transfer', restore: 'restore' } as const;
  for (const stage of stages) {
    const key = needs[stage];
    if (job[key] === undefined)
      add([], `stage \`${stage}\` needs \`${key}\``, 'or leave the stage out of `stages`');
  }
  if (job.source !== undefined && !stages.includes('backup')) {
    add(['source'], 'is read by stage `backup` only', 'remove it, or add the stage');
  }
  if (job.restore !== undefined && !stages.includes('restore')) {
    add(['restore'], 'belongs to stage `restore`', 'remove it, or add the stage');
  }
}

function checkPlaces(job: Draft, context: z.RefinementCtx): void {
  const far = job.transfer?.to;
  if (far === undefined || far.store !== job.backup.store) return;
  if (trimmed(far.path) !== trimmed(job.backup.path)) return;
  context.addIssue({
    code: 'custom',
    message: 'the far end is where the backup lies already',
    path: ['transfer', 'to'],
    params: { hint: 'name another store or path' },
  });
}

/** Without `/` at the end, as jobs carry it. */
export function trimmed(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path;
}

/** A vault has one watermark. */
function checkWatermarks(job: Draft, context: z.RefinementCtx): void {
  const { source } = job;
  if (source === undefined) return;
  const windows = source.tables.map((entry) => entry.window ?? source.window ?? job.defaults?.window);
  const ends = windows
    .filter((one) => one?.from?.kind === 'watermark')
    .map((one) => JSON.stringify([one?.to, one?.timezone ?? null]));
  if (new Set(ends).size < 2) return;
  context.addIssue({
    code: 'custom',
    message:
      'tables that begin at the watermark must have the same `to` and `timezone`: a job has one watermark',
    path: ['source', 'tables'],
    params: { hint: 'split the job' },
  });
}
