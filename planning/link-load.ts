import type {
  ResolvedBackupRestoreJob,
  ResolvedCopyJob,
  ResolvedDuplicationJob,
} from '../definitions/contracts/job.ts';
import { stableHash } from './stable-hash.ts';

/** How a link loads: as a copy does, into one target. */
export function loadJobOf(job: ResolvedDuplicationJob, target: string): ResolvedCopyJob {
  const schema = job.targets.find(({ store }) => store === target)?.schema;
  const { load } = job;
  return {
    kind: 'copy',
    name: job.name,
    onFailure: job.onFailure,
    source: {
      store: job.source.store,
      tables: job.source.tables.map((table) => ({
        ...table,
        ...(table.targetSchema !== undefined || schema === undefined ? {} : { targetSchema: schema }),
      })),
    },
    target: { store: target, mode: 'replace', createTables: load.createTables },
    run: {
      parallel: load.parallel,
      memoryBytes: load.memoryBytes,
      verify: load.verify,
      analyze: true,
      ...(load.throttleBytesPerSecond === undefined
        ? {}
        : { throttleBytesPerSecond: load.throttleBytesPerSecond }),
    },
  };
}

const consistentLog: ResolvedDuplicationJob['log'] = {
  ...{ batchChanges: 50_000, batchBytes: 16_000_000, batchEveryMs: 500, lanes: 1 },
  ...{ laggingAfterMs: 10_000, durability: 'sync', keyless: 'refuse' },
};
/** A copy ends by itself, and what it keeps with it. */
const consistentRetention = { maxLogBytes: Number.MAX_SAFE_INTEGER, onExceed: 'alarm' } as const;

/** The link of a copy that is to be one instant of its source. */
export function linkJobOf(job: ResolvedCopyJob): ResolvedDuplicationJob {
  const { name, onFailure, source, target, run } = job;
  return {
    kind: 'duplication',
    ...{ name, onFailure, source },
    targets: [{ store: target.store }],
    load: {
      ...{ checkpoint: true, createTables: target.createTables, parallel: run.parallel },
      ...{ memoryBytes: run.memoryBytes, verify: run.verify },
      ...(run.throttleBytesPerSecond === undefined
        ? {}
        : { throttleBytesPerSecond: run.throttleBytesPerSecond }),
    },
    log: consistentLog,
    retention: consistentRetention,
  };
}

/** Identity of the first load of a generation; all later ones begin with it. */
export function loadsOf(generation: number): string {
  return `link:${String(generation)}`;
}

/** Whether a load belongs to a link: a log follows it. */
export function isLinkLoad(load: string): boolean {
  return load.startsWith('link:');
}

/** The same for the log that a backup at a cut keeps while it is made. */
export function backupLogNameOf({ name, backup }: Pick<ResolvedBackupRestoreJob, 'name' | 'backup'>): string {
  return `syncline_${stableHash(`${name}\nbackup\n${backup.store}\n${backup.path}`).slice(0, 8)}`;
}

/** Name of slot and publication of a link, the same for whoever asks: 8 hex digits say whose they are. */
export function linkNameOf(job: Pick<ResolvedDuplicationJob, 'name' | 'source'>, target: string): string {
  return `syncline_${stableHash(`${job.name}\n${job.source.store}\n${target}`).slice(0, 8)}`;
}
