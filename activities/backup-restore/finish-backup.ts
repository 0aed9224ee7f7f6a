import type {
  FinishedStage,
  FinishStageInput,
  MoveWatermarkInput,
} from '../../definitions/contracts/backup-restore.ts';
import type { CopyTotals } from '../../definitions/contracts/copy.ts';
import type { BackupSummary } from '../../stores/spi/artifact.ts';
import { requireCapability } from '../../stores/spi/store.ts';
import { displayName } from '../../stores/spi/tables.ts';
import { nextWatermark } from '../../planning/window.ts';
import { chunksThatAppeared, namedSkips, totalsOf } from '../copy/finish-copy.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { targetOf } from '../ends.ts';
import { withHeartbeat } from '../heartbeat.ts';
import { describeBackup, type DescribedBackup } from './describe-backup.ts';
import { backupOf, beginning } from './prepare-backup.ts';
import { backupRef, openPlace } from './places.ts';
import { prune } from './prune.ts';

/** Holds the plan against the receipts, publishes the manifest, lets go what is no longer kept. */
export async function finishBackup(
  { stores, fault }: ActivityDependencies,
  input: FinishStageInput,
): Promise<FinishedStage> {
  const { job, ref } = input;
  return await withHeartbeat(
    () => ({ chunk: job.name, step: 'publishing' }),
    async (signal) => {
      const vault = targetOf(stores, ref);
      const ledger = requireCapability(vault, 'loadLedger');
      // Of a retry it is the load of an earlier run.
      const described = { ...(await describeBackup(stores, input)), ref };
      const stored = await ledger.plans.read(ref);
      // Published by an attempt that died before it could say so: what it worked with is gone.
      if (stored === null) {
        const summary = await requireCapability(vault, 'backupCatalog').read(backupOf(described));
        await prune(vault, job);
        const skippedUnits = summary.skippedUnits ?? 0;
        const answer = answerOf({ summary, described, skipped: skippedUnits });
        return { ...answer, totals: totalsBy(summary, input), skipped: [], warnings: [] };
      }
      const totals = await totalsOf(ledger, stored);
      const skipped = await ledger.deadLetters.list(ref, namedSkips);
      const warnings = await chunksThatAppeared(ledger, stored, described);
      await fault.reach('backup.beforeManifest', signal);
      const writer = requireCapability(vault, 'backupWriter');
      // Sequences have moved on since the backup began.
      await writer.begin(await beginning(input, described, null));
      const summary = await writer.publish(ref);
      await prune(vault, job);
      const answer = answerOf({ summary, described, skipped: totals.unitsSkipped });
      return { ...answer, totals, skipped, warnings };
    },
  );
}

interface Published {
  readonly summary: BackupSummary;
  readonly described: DescribedBackup;
  readonly skipped: number;
}

/** Nothing skipped: what lies below the watermark is never read again. */
function answerOf({
  summary,
  described,
  skipped,
}: Published): Pick<FinishedStage, 'backup' | 'more' | 'watermark'> {
  const windows = described.tables.flatMap(({ selection, definition }) => {
    const name = displayName(definition.name);
    const kept = summary.windows.find(({ table }) => table === name);
    if (selection.window === undefined || kept === undefined) return [];
    return [{ rule: selection.window, resolved: kept.window }];
  });
  return {
    backup: summary.backup,
    more: false,
    watermark: skipped === 0 ? nextWatermark(windows) : null,
  };
}

/** What is left to know of a backup that was published before. */
function totalsBy({ rows, bytes }: BackupSummary, { totals }: FinishStageInput): CopyTotals {
  return { ...totals, rowsRead: rows, rowsWritten: rows, rowsSkipped: 0, bytes };
}

/** After the last stage: nothing below it will be backed up again. Moves forward only. */
export async function moveWatermark(
  { stores }: ActivityDependencies,
  input: MoveWatermarkInput,
): Promise<void> {
  const { job, to } = input;
  const vault = openPlace(stores, job.backup);
  await requireCapability(vault, 'loadLedger').watermarks.advance(job.name, to, backupRef(input).load);
}
