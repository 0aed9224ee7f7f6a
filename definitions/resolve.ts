import { createHash } from 'node:crypto';
import type {
  CalendarRule,
  ResolvedBackupRestoreJob,
  ResolvedCopyJob,
  ResolvedDuplicationJob,
  ResolvedJob,
  ResolvedRestore,
  ResolvedRun,
  ResolvedSchedule,
  ResolvedSource,
  ResolvedTarget,
  TableSelection,
  WindowRule,
} from './contracts/job.ts';
import { dayMs, instantOf, instantOfPoint, parseTimePoint } from './contracts/zoned-time.ts';
import type { ParsedJob } from './parse.ts';
import { type BackupRestoreDefinition, trimmed } from './schema/backup-restore.ts';
import type { CopyDefinition } from './schema/copy.ts';
import { type DuplicationDefinition, linkTargets } from './schema/duplication.ts';
import type { JobDefinition } from './schema/kinds.ts';
import { defaultChunkBytes, defaultChunks } from './schema/tables.ts';
import type { TableEntry, TableOptions } from './schema/tables.ts';
import { sizeBytes } from './units.ts';

/** Everything filled in: the only form that workflows and activities see. Cannot fail on a parsed job. */
export function resolveJob({ definition }: ParsedJob): ResolvedJob {
  switch (definition.kind) {
    case 'copy':
      return resolveCopy(definition);
    case 'backup-restore':
      return resolveBackupRestore(definition);
    case 'duplication':
      return resolveDuplication(definition);
  }
}

function resolveCopy(definition: CopyDefinition): ResolvedCopyJob {
  const { target } = definition;
  return {
    kind: 'copy',
    ...(definition.consistent ? { consistent: true } : {}),
    ...resolveHeader(definition),
    ...scheduleOf(definition),
    source: resolveSource(definition.source, { ...definition, targetSchema: target.schema }),
    target: {
      store: target.store,
      mode: target.mode,
      createTables: target.createTables,
    } satisfies ResolvedTarget,
    run: resolveRun(definition.run),
  };
}

/** Of a backup at a cut; the same as a duplication's. */
const defaultMaxLogBytes = 50_000_000_000;

function resolveBackupRestore(definition: BackupRestoreDefinition): ResolvedBackupRestoreJob {
  const { backup, restore, source, stages, transfer, keep } = definition;
  const levels = { ...definition, targetSchema: undefined };
  return {
    kind: 'backup-restore',
    ...resolveHeader(definition),
    ...scheduleOf(definition),
    stages,
    ...present({ source: source === undefined ? undefined : resolveSource(source, levels) }),
    backup: {
      ...{ store: backup.store, path: trimmed(backup.path), format: backup.format },
      ...{ compression: backup.compression, ...present({ compressionLevel: backup.level }) },
      ...{ encrypt: backup.encrypt, incremental: backup.incremental },
      ...{ consistency: backup.consistency, snapshotLimitMs: backup.snapshotLimit },
      ...(backup.consistency === 'cut' ? { maxLogBytes: backup.maxLog ?? defaultMaxLogBytes } : {}),
    },
    ...present({
      transfer:
        transfer === undefined ? undefined : { store: transfer.to.store, path: trimmed(transfer.to.path) },
      restore: restore === undefined ? undefined : resolveRestore(restore, definition),
      keep: keep === undefined ? undefined : present(keep),
    }),
    run: resolveRun(definition.run),
  };
}

function resolveRestore(
  restore: NonNullable<BackupRestoreDefinition['restore']>,
  { schedule }: BackupRestoreDefinition,
): ResolvedRestore {
  const tables: readonly RestoredTable[] = restore.tables ?? [{ name: '*.*' }];
  return {
    ...{ store: restore.store, mode: restore.mode, createTables: restore.createTables },
    ...{ only: restore.only, backup: restore.backup, check: restore.check },
    tables: tables.map((entry) => ({
      pattern: entry.name,
      chunks: entry.chunks ?? restore.chunks,
      // Chunks are those of the backup; nothing is cut anew.
      chunkBytes: Number.MAX_SAFE_INTEGER,
      ...present({
        window: resolveWindowRule(entry.window ?? restore.window, schedule?.timezone ?? 'UTC'),
        targetSchema: entry.target?.schema ?? restore.schema,
        targetTable: entry.target?.table,
      }),
    })),
  };
}

type RestoredTable = Exclude<
  NonNullable<NonNullable<BackupRestoreDefinition['restore']>['tables']>[number],
  undefined
> & {
  readonly chunks?: string | undefined;
  readonly window?: TableOptions['window'];
  readonly target?: TableEntry['target'];
};

function resolveDuplication(definition: DuplicationDefinition): ResolvedDuplicationJob {
  const { source, load, log, retention } = definition;
  return {
    kind: 'duplication',
    ...resolveHeader(definition),
    source: {
      store: source.store,
      // Where a table goes differs by target, unless the table itself says it.
      tables: source.tables.map(({ name, target, columns, chunkBytes }) =>
        resolveTable(
          { name, target, columns, chunkBytes },
          { columns: source.columns, chunkBytes: source.chunkBytes },
          { targetSchema: undefined },
        ),
      ),
    },
    targets: linkTargets(definition).map(({ store, schema }) => ({ store, ...present({ schema }) })),
    load: {
      ...{ checkpoint: load.checkpoint, createTables: load.createTables },
      ...{ parallel: load.parallel, memoryBytes: load.memory },
      ...present({ throttleBytesPerSecond: load.throttle }),
      verify: load.verify,
    },
    log: {
      ...{ batchChanges: log.batch.changes, batchBytes: log.batch.bytes, batchEveryMs: log.batch.every },
      ...{ lanes: log.lanes, laggingAfterMs: log.laggingAfter },
      ...{ durability: log.durability, keyless: log.keyless },
    },
    retention: { maxLogBytes: retention.maxLog, onExceed: retention.onExceed },
  };
}

function resolveHeader(definition: JobDefinition) {
  const { onFailure } = definition;
  return {
    name: definition.name,
    ...present({ description: definition.description }),
    onFailure: {
      mode: onFailure.mode,
      attempts: onFailure.attempts,
      backoffInitialMs: onFailure.backoff.initial,
      backoffMaxMs: onFailure.backoff.max,
    },
  };
}

function scheduleOf({ schedule }: Pick<CopyDefinition, 'schedule'>): Pick<ResolvedCopyJob, 'schedule'> {
  return schedule === undefined ? {} : { schedule: resolveSchedule(schedule) };
}

interface Levels {
  readonly defaults?: TableOptions | undefined;
  readonly schedule?: CopyDefinition['schedule'];
  readonly targetSchema: string | undefined;
}

function resolveSource(source: CopyDefinition['source'], levels: Levels): ResolvedSource {
  return {
    store: source.store,
    tables: source.tables.map((entry) => resolveTable(entry, source, levels)),
  };
}

/** The table's own word goes before that of `source`, and that before `defaults`. */
function resolveTable(entry: TableEntry, source: TableOptions, definition: Levels): TableSelection {
  const levels: readonly TableOptions[] = [entry, source, definition.defaults ?? {}];
  const pick = <Key extends keyof TableOptions>(key: Key): TableOptions[Key] =>
    levels.find((level) => level[key] !== undefined)?.[key];
  return {
    pattern: entry.name,
    ...present({
      columns: pick('columns'),
      where: pick('where'),
      window: resolveWindowRule(pick('window'), definition.schedule?.timezone ?? 'UTC'),
      targetSchema: entry.target?.schema ?? definition.targetSchema,
      targetTable: entry.target?.table,
    }),
    chunks: pick('chunks') ?? defaultChunks,
    chunkBytes: pick('chunkBytes') ?? sizeBytes(defaultChunkBytes) ?? 0,
  };
}

function resolveWindowRule(window: TableOptions['window'], timezone: string): WindowRule | undefined {
  if (window === undefined) return undefined;
  const { column, from, to } = window;
  return { column, ...present({ from, to }), timezone: window.timezone ?? timezone };
}

function resolveRun(run: CopyDefinition['run']): ResolvedRun {
  return {
    parallel: run.parallel,
    memoryBytes: run.memory,
    ...present({ throttleBytesPerSecond: run.throttle }),
    verify: run.verify,
    analyze: run.analyze,
  };
}

function resolveSchedule(schedule: NonNullable<CopyDefinition['schedule']>): ResolvedSchedule {
  const { cron, calendar, timezone, startAt, endAt } = schedule;
  return {
    ...present({
      cron: cron?.trim(),
      calendar: calendar === undefined ? undefined : (present(calendar) satisfies CalendarRule),
      startAt: startAt === undefined ? undefined : startInstant(startAt, timezone),
      endAt: endAt === undefined ? undefined : endInstant(endAt, timezone),
    }),
    timezone,
    overlap: schedule.overlap,
    catchupMs: schedule.catchup,
    paused: schedule.paused,
  };
}

function startInstant(text: string, timezone: string): string | undefined {
  const point = parseTimePoint(text);
  return point === null ? undefined : new Date(instantOfPoint(point, timezone)).toISOString();
}

/** A date alone includes that day: the last millisecond before the next one begins. */
function endInstant(text: string, timezone: string): string | undefined {
  const point = parseTimePoint(text);
  if (point?.dateOnly !== true) return startInstant(text, timezone);
  return new Date(instantOf(point.wall + dayMs, timezone) - 1).toISOString();
}

type Present<Fields> = { [Key in keyof Fields]?: Exclude<Fields[Key], undefined> };

/** Leaves out what is undefined, so that JSON and comparison see no difference to a missing key. */
function present<Fields extends object>(fields: Fields): Present<Fields> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as Present<Fields>;
}

/** SHA-256 (hex) of the canonical JSON: equal for equal meaning, however the file was laid out. */
export function definitionHash(job: ResolvedJob): string {
  return createHash('sha256').update(canonicalJson(job)).digest('hex');
}

/** JSON with sorted keys and without spaces. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
  });
}
