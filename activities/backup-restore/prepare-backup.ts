import { setTimeout as sleep } from 'node:timers/promises';
import type { PreparedStage, StageInput } from '../../definitions/contracts/backup-restore.ts';
import type { StoreProvider } from '../../stores/spi/store.ts';
import { requireCapability } from '../../stores/spi/store.ts';
import type { BackupTable, BackupWriter, BeginBackup } from '../../stores/spi/artifact.ts';
import type { ChunkSource } from '../../stores/spi/chunk-source.ts';
import { tablePlanOf } from '../copy/describe-job.ts';
import { refuseOn, warningsOf } from '../copy/prepare-copy.ts';
import { unitsOf } from '../copy/units.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { withHeartbeat } from '../heartbeat.ts';
import { cutLike } from './base-ranges.ts';
import { describeBackup, type DescribedBackup } from './describe-backup.ts';
import { openPlace } from './places.ts';

const instantPollMs = 250;

/** Checks the source and the vault, and writes definitions and plan into the backup. Repeated: the plan already there. */
export async function prepareBackup(
  { stores }: ActivityDependencies,
  input: StageInput,
): Promise<PreparedStage> {
  return await withHeartbeat(
    () => ({ chunk: input.job.name, step: 'waiting' }),
    async (signal) => {
      const described = await describeBackup(stores, input);
      refuseOn(described.findings);
      const { ref, vault, tables } = described;
      const backup = backupOf(described);
      const ledger = requireCapability(vault, 'loadLedger');
      const known = await ledger.plans.read(ref);
      if (known !== null) {
        const { unitsDone } = await ledger.totals(ref);
        return { ref, plan: known.totals, warnings: [], alreadyDone: unitsDone, backup };
      }
      const writer = requireCapability(vault, 'backupWriter');
      await instantOf(writer, { input, described }, signal);
      const basedOn = await baseOf(stores, input, described);
      await writer.begin(await beginning(input, described, basedOn));
      const source = await sourceLike(stores, { input, described, basedOn });
      const plans = tables.map((table, index) => tablePlanOf(table, index + 1));
      const plan = await ledger.plans.write(ref, plans, unitsOf(source, tables));
      return { ref, plan, warnings: warningsOf(described.findings), alreadyDone: 0, backup };
    },
  );
}

export function backupOf({ ref }: Pick<DescribedBackup, 'ref'>): string {
  return ref.targetArtifact?.backup ?? '';
}

/**
 * The snapshot that the whole backup is read under, or the log that its units are brought to one instant with: another activity
 * holds it, and nothing is planned before it is there.
 */
async function instantOf(
  writer: BackupWriter,
  { input, described }: Pick<Cutting, 'input' | 'described'>,
  signal: AbortSignal,
): Promise<void> {
  const { ref } = described;
  const { consistency } = input.job.backup;
  if (consistency === 'chunk') return;
  const ask = (): Promise<unknown> => (consistency === 'cut' ? writer.log(ref) : writer.snapshot(ref));
  while ((await ask()) === null) await sleep(instantPollMs, undefined, { signal });
}

/** The newest full backup that was packed and sealed alike; a window has nothing in common with others. */
async function baseOf(
  stores: StoreProvider,
  { job }: StageInput,
  described: DescribedBackup,
): Promise<string | null> {
  if (!job.backup.incremental || described.scope === 'window') return null;
  const { backups } = await requireCapability(openPlace(stores, job.backup), 'backupCatalog').list();
  const base = backups.find(
    (one) =>
      one.scope === 'full' &&
      one.backup !== backupOf(described) &&
      one.compression === job.backup.compression &&
      (one.keyId !== null) === job.backup.encrypt,
  );
  return base?.backup ?? null;
}

/** Scripts are made now: sequences get the values they have now. */
export async function beginning(
  { job, scheduledTime }: StageInput,
  { ref, source, scope, tables }: DescribedBackup,
  basedOn: string | null,
): Promise<BeginBackup> {
  const builder = requireCapability(source, 'tableBuilder');
  const kept: BackupTable[] = [];
  for (const { definition } of tables) {
    const script = await (builder.scriptToKeep?.(definition) ?? builder.script(definition, definition.name));
    // Where the rows once were is no place of theirs any more: they may go back there.
    const lasting = { ...definition };
    delete lasting.place;
    kept.push({ definition: lasting, script });
  }
  const { compression, compressionLevel, encrypt, consistency } = job.backup;
  return {
    ref,
    scope,
    scheduledTime,
    compression,
    compressionLevel: compressionLevel ?? null,
    encrypt,
    consistency,
    basedOn,
    tables: kept,
  };
}

interface Cutting {
  readonly input: StageInput;
  readonly described: DescribedBackup;
  readonly basedOn: string | null;
}

async function sourceLike(
  stores: StoreProvider,
  { input, described, basedOn }: Cutting,
): Promise<ChunkSource> {
  const source = requireCapability(described.source, 'chunkSource');
  if (basedOn === null) return source;
  return await cutLike(openPlace(stores, input.job.backup, basedOn), source, described.tables);
}
