import type { CopyTotals, FinishCopyInput, FinishedCopy } from '../../definitions/contracts/copy.ts';
import { SynclineError } from '../../definitions/errors.ts';
import { nextWatermark } from '../../planning/window.ts';
import type { LoadLedger, StoredLoad } from '../../stores/spi/load-ledger.ts';
import { requireCapability } from '../../stores/spi/store.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { sourceOf, targetOf } from '../ends.ts';
import { withHeartbeat } from '../heartbeat.ts';
import { describeSources, type DescribedSource } from './describe-job.ts';
import { displayName } from '../../stores/spi/tables.ts';

/** Skipped chunks that are named in the result; all of them are in the ledger. */
export const namedSkips = 100;
/** Up to this many units the plan is read once more to name partitions that appeared while copying. */
const comparableUnits = 100_000;

/** What can only be done when every chunk is there: foreign keys, sequences, statistics, watermark. */
export async function finishCopy(
  dependencies: ActivityDependencies,
  input: FinishCopyInput,
): Promise<FinishedCopy> {
  const { ref, job } = input;
  const ledger = requireCapability(targetOf(dependencies.stores, ref), 'loadLedger');
  return await withHeartbeat(
    () => ({ chunk: job.name, step: 'indexing' }),
    async () => {
      const stored = await ledger.plans.read(ref);
      if (stored === null)
        throw new SynclineError('job.notFound', `Job ${ref.job} has no plan for this load.`);
      const totals = await totalsOf(ledger, stored);
      const skipped = await ledger.deadLetters.list(ref, namedSkips);
      const from = ref.sourceArtifact === undefined ? {} : { from: sourceOf(dependencies.stores, ref) };
      const described = await describeSources(dependencies.stores, { job, ...from });
      if (job.target.createTables) await completeTables(described);
      if (job.run.analyze) {
        const targets = stored.tables.map((table) => table.target);
        await requireCapability(described.target, 'tableBuilder').analyze(targets);
      }
      await requireCapability(described.target, 'chunkTarget').checkReferences(stored.tables);
      // A backup does not change, and how far it reaches is remembered where it was made.
      if (ref.sourceArtifact !== undefined) return { totals, skipped, warnings: [] };
      if (totals.unitsSkipped === 0) await moveWatermark(ledger, { stored, described, job: job.name });
      return { totals, skipped, warnings: await chunksThatAppeared(ledger, stored, described) };
    },
  );
}

/** Every unit is in the ledger or a dead letter: read = written + skipped, by the ledger, which is the truth. */
export async function totalsOf(ledger: LoadLedger, stored: StoredLoad): Promise<CopyTotals> {
  const counted = await ledger.totals(stored.ref);
  const { units } = stored.totals;
  if (counted.unitsDone + counted.unitsSkipped !== units) {
    throw new SynclineError(
      'verify.totalsDiffer',
      `Of ${String(units)} units ${String(counted.unitsDone)} are in the ledger and ${String(counted.unitsSkipped)} were set aside.`,
    );
  }
  return {
    unitsDone: counted.unitsDone,
    unitsSkipped: counted.unitsSkipped,
    rowsRead: counted.rows + counted.rowsHidden,
    rowsWritten: counted.rows,
    rowsSkipped: counted.rowsHidden,
    bytes: counted.bytes,
  };
}

/** The script is made now, so that sequences get the values they have now. */
export async function completeTables(described: DescribedSource): Promise<void> {
  const reader = requireCapability(described.source, 'tableBuilder');
  const builder = requireCapability(described.target, 'tableBuilder');
  for (const table of described.tables) {
    await builder.complete(await reader.script(table.definition, table.target));
  }
}

interface WatermarkMove {
  readonly stored: StoredLoad;
  readonly described: DescribedSource;
  readonly job: string;
}

/** Only when nothing was skipped: what lies below the watermark is never read again. */
async function moveWatermark(ledger: LoadLedger, { stored, described, job }: WatermarkMove): Promise<void> {
  const windows = described.tables.flatMap(({ selection, definition }) => {
    const plan = stored.tables.find((table) => displayName(table.source) === displayName(definition.name));
    if (selection.window === undefined || plan === undefined || plan.window === null) return [];
    return [{ rule: selection.window, resolved: plan.window }];
  });
  const reached = nextWatermark(windows);
  if (reached !== null) await ledger.watermarks.advance(job, reached, stored.ref.load);
}

/** A partition made after the plan was written is not copied by this run; that must be said. */
export async function chunksThatAppeared(
  ledger: LoadLedger,
  stored: StoredLoad,
  described: Pick<DescribedSource, 'tables'>,
): Promise<string[]> {
  const candidates = described.tables.filter(takesAllChunks).flatMap((table) => table.definition.leaves);
  if (candidates.length <= stored.totals.chunks || stored.totals.units > comparableUnits) return [];
  const planned = new Set<string>();
  const page = 5_000;
  for (let from = 1; from <= stored.totals.units; from += page) {
    for (const unit of await ledger.plans.units(stored.ref, from, from + page - 1)) planned.add(unit.chunk);
  }
  return candidates
    .map((leaf) => displayName(leaf.name))
    .filter((chunk) => !planned.has(chunk))
    .slice(0, 20)
    .map(
      (chunk) => `Partition ${chunk} appeared after the plan was made and was not copied; run the job again.`,
    );
}

function takesAllChunks({ selection }: DescribedSource['tables'][number]): boolean {
  return selection.window === undefined && selection.chunks === '%';
}
