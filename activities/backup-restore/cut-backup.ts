import type { CutBackup, CutBackupInput } from '../../definitions/contracts/backup-restore.ts';
import { SynclineError } from '../../definitions/errors.ts';
import { likeMatcher } from '../../planning/like-pattern.ts';
import type { CutWriting, NotedLog } from '../../stores/spi/artifact.ts';
import type { LoadUnit } from '../../stores/spi/chunk-source.ts';
import { requireCapability } from '../../stores/spi/store.ts';
import { displayName } from '../../stores/spi/tables.ts';
import type { DescribedTable } from '../copy/describe-job.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { targetOf } from '../ends.ts';
import { withHeartbeat } from '../heartbeat.ts';
import { describeBackup } from './describe-backup.ts';
import { keptLogOf } from './kept-log.ts';
import { type CutWork, settleUnits } from './settle-units.ts';
import { touchedUntilCut } from './touched-until.ts';

/** Keys of touched rows that a worker remembers; beyond it the leaf that has most of them is read again whole. */
const mostKeyBytes = 64 * 1024 * 1024;

/**
 * Design 3.1, a cut at a snapshot, for rows in files: the log says which rows were touched since the first unit was read, and
 * each of them is read again under one snapshot at the end, whatever happened to it in between. Which changes a unit's own
 * snapshot held already does not matter then (docs/decisions/0013). Repeated: the log from its beginning, another instant.
 */
export async function cutBackup(
  dependencies: ActivityDependencies,
  input: CutBackupInput,
): Promise<CutBackup> {
  const kept = keptLogOf(dependencies.stores, input);
  const done = { changed: 0, again: 0 };
  let changes = 0;
  return await withHeartbeat(
    () => ({ chunk: input.job.name, step: 'cutting', changes, ...done }),
    async (signal) => {
      const writing = await kept.writer.cut(input.ref);
      if (writing === null) return done;
      const noted = expectNoted(input, await kept.writer.log(input.ref));
      const work = await beginWork(dependencies, input, { writing, signal, since: noted.mark });
      const touched = work.rows.collect({ keyOf: keysOf(work.tables), mostBytes: mostKeyBytes });
      const cut = await touchedUntilCut({
        ...{ kept, start: noted.start, touched, signal },
        changes: (count) => (changes += count),
      });
      try {
        await settleUnits(work, { cut, touched }, done);
        await dependencies.fault.reach('cut.beforeNote', signal);
        await writing.commit(cut.mark);
      } finally {
        await cut.close();
      }
      return done;
    },
  );
}

async function beginWork(
  { stores }: ActivityDependencies,
  input: CutBackupInput,
  { writing, signal, since }: Pick<CutWork, 'writing' | 'signal' | 'since'>,
): Promise<CutWork> {
  const ledger = requireCapability(targetOf(stores, input.ref), 'loadLedger');
  const stored = await ledger.plans.read(input.ref);
  if (stored === null) throw new SynclineError('job.notFound', `Backup job ${input.job.name} has no plan.`);
  const described = await describeBackup(stores, input);
  const { tables } = described;
  expectSameTables(tables, writing);
  const source = requireCapability(described.source, 'chunkSource');
  const rows = requireCapability(described.source, 'touchedRows');
  return { input, writing, signal, since, source, rows, ledger, stored, tables };
}

function expectNoted({ job }: CutBackupInput, noted: NotedLog | null): NotedLog {
  if (noted !== null) return noted;
  throw new SynclineError('log.slotLost', `Backup job ${job.name} does not know where its log begins.`);
}

/** Columns that came or went would make two kinds of rows of one table. */
function expectSameTables(tables: readonly DescribedTable[], { tables: begun }: CutWriting): void {
  for (const { definition } of begun) {
    const name = displayName(definition.name);
    const now = tables.find((table) => displayName(table.definition.name) === name)?.definition;
    if (JSON.stringify(now?.columns) === JSON.stringify(definition.columns)) continue;
    throw new SynclineError('log.schemaChanged', `${name} changed its columns while it was backed up.`, {
      details: { table: name },
    });
  }
}

/** Of leaves that are not asked for the log speaks too. */
function keysOf(
  tables: readonly DescribedTable[],
): (leaf: LoadUnit['sourceLeaf']) => readonly string[] | null {
  const keys = new Map<string, readonly string[]>();
  for (const { definition, selection } of tables) {
    const matches = likeMatcher(selection.chunks);
    for (const { name } of definition.leaves)
      if (matches(name.name)) keys.set(displayName(name), definition.key ?? []);
  }
  return (leaf) => keys.get(displayName(leaf)) ?? null;
}
