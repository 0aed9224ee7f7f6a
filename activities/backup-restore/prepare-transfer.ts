import type {
  FinishedStage,
  FinishStageInput,
  PreparedStage,
  StageInput,
} from '../../definitions/contracts/backup-restore.ts';
import { nextOfChain } from '../../planning/restore-chain.ts';
import type { BackupCatalog } from '../../stores/spi/artifact.ts';
import type { LoadUnit, TablePlan } from '../../stores/spi/chunk-source.ts';
import { requireCapability, type StoreProvider } from '../../stores/spi/store.ts';
import { namedSkips, totalsOf } from '../copy/finish-copy.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { sourceOf, targetOf } from '../ends.ts';
import { withHeartbeat } from '../heartbeat.ts';
import { chainAt } from './choose-backup.ts';
import { missingBackup, refusal } from './findings.ts';
import { openPlace, transferPlace, transferRef } from './places.ts';
import { prune } from './prune.ts';

/** Objects listed at once. */
const page = 1_000;

/** One unit an object, also for what the far end has: it is verified there, and travels only if it must. */
export async function prepareTransfer(
  { stores }: ActivityDependencies,
  input: StageInput,
): Promise<PreparedStage> {
  return await withHeartbeat(
    () => ({ chunk: input.job.name, step: 'waiting' }),
    async () => {
      const backup = await backupToMove(stores, input);
      const ref = transferRef(input, backup);
      const catalog = requireCapability(sourceOf(stores, ref), 'backupCatalog');
      await refusal(() => catalog.read(backup));
      const ledger = requireCapability(targetOf(stores, ref), 'loadLedger');
      const known = await ledger.plans.read(ref);
      if (known !== null) {
        const { unitsDone } = await ledger.totals(ref);
        const again = { ...ref, run: known.ref.run };
        return { ref: again, plan: known.totals, warnings: [], alreadyDone: unitsDone, backup };
      }
      const plan = await ledger.plans.write(ref, [objectsOf(backup)], unitsOf(catalog, backup));
      return { ref, plan, warnings: [], alreadyDone: 0, backup };
    },
  );
}

/** Named, or made just now; else the oldest of the latest state that the far end lacks. */
export async function backupToMove(stores: StoreProvider, { job, backup }: StageInput): Promise<string> {
  if (backup !== null) return backup;
  const { chain, held } = await chainToMove(stores, { job });
  const chosen = nextOfChain(chain, held);
  if (chosen === null) throw missingBackup(job.backup);
  return chosen.backup;
}

async function chainToMove(
  stores: StoreProvider,
  { job }: Pick<StageInput, 'job'>,
): Promise<{ readonly chain: readonly string[]; readonly held: ReadonlySet<string> }> {
  const chain = await chainAt(openPlace(stores, job.backup));
  const far = await requireCapability(openPlace(stores, transferPlace(job)), 'backupCatalog').list();
  return { chain, held: new Set(far.backups.map((one) => one.backup)) };
}

/** Whether another one waits; only where the job takes what there is, one by one. */
async function moreToMove(stores: StoreProvider, input: FinishStageInput): Promise<boolean> {
  if (input.backup !== null) return false;
  const { chain, held } = await chainToMove(stores, input);
  return chain.some((backup) => !held.has(backup));
}

/** A plan needs a table: this one stands for the objects of a backup. */
function objectsOf(backup: string): TablePlan {
  const name = { schema: 'backup', name: backup };
  return {
    ordinal: 1,
    source: name,
    target: name,
    columns: [],
    key: null,
    format: 'binary',
    retyped: [],
    where: null,
    window: null,
    strategy: 'object',
  };
}

async function* unitsOf(catalog: BackupCatalog, backup: string): AsyncGenerator<LoadUnit> {
  for (let after = 0; ;) {
    const objects = await catalog.objects(backup, after, page);
    for (const { ordinal, key, bytes } of objects) {
      const name = { schema: 'backup', name: key };
      yield {
        ordinal,
        firstOfChunk: ordinal,
        kind: 'whole',
        chunk: key,
        slice: 0,
        table: 1,
        sourceLeaf: name,
        targetLeaf: name,
        range: null,
        bound: null,
        bytes,
      };
    }
    const last = objects.at(-1);
    if (last === undefined) return;
    after = last.ordinal;
  }
}

/** The manifest comes last: only then the backup exists at the far end. With an object set aside it never does. */
export async function finishTransfer(
  { stores }: ActivityDependencies,
  input: FinishStageInput,
): Promise<FinishedStage> {
  const { job, ref } = input;
  const backup = ref.targetArtifact?.backup ?? '';
  const over = { backup, more: false, watermark: null };
  return await withHeartbeat(
    () => ({ chunk: job.name, step: 'publishing' }),
    async () => {
      const far = targetOf(stores, ref);
      const ledger = requireCapability(far, 'loadLedger');
      const stored = await ledger.plans.read(ref);
      if (stored === null) {
        // Published by an attempt that died before it could say so; else this says that it is not there.
        await requireCapability(far, 'backupCatalog').read(backup);
        await prune(far, job);
        return { ...over, totals: input.totals, skipped: [], warnings: [] };
      }
      const totals = await totalsOf(ledger, stored);
      const skipped = await ledger.deadLetters.list(ref, namedSkips);
      if (totals.unitsSkipped > 0) {
        const warning = `Backup ${backup} is not complete at the far end, so it was not published there.`;
        return { ...over, totals, skipped, warnings: [warning] };
      }
      const near = requireCapability(sourceOf(stores, ref), 'backupWriter');
      await requireCapability(far, 'backupWriter').publish(ref, await near.manifestBytes(backup));
      await prune(far, job);
      const more = await moreToMove(stores, input);
      // The plan of an earlier run may have been carried out long ago.
      return { ...over, totals, skipped, warnings: [], more, verified: stored.ref.run === input.run };
    },
  );
}
