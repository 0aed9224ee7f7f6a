import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { bytesPerRow, contentOf, createTable, dropTable, fillTable } from '../bench-table.ts';
import { rounded } from '../figures.ts';
import type { BenchOptions } from '../options.ts';
import type { Say, Stage } from '../stage.ts';
import { type BackupSpec, runStage } from './job.ts';

export interface ChunkMemory {
  /** The higher of the two; null where /proc is missing. */
  readonly peakMemoryMB: number | null;
  readonly chunkMB: number;
  readonly backup: { readonly peakMB: number | null; readonly seconds: number };
  readonly restore: { readonly peakMB: number | null; readonly seconds: number };
}

/** One partition as one chunk, with a fresh worker for each direction and everything on: zstd, encryption, digest. */
export async function backupChunkMemory(
  { chunkBytes }: BenchOptions,
  stage: Stage,
  say: Say,
): Promise<ChunkMemory> {
  const size = { rows: Math.ceil(chunkBytes / bytesPerRow), partitions: 1 };
  say(`Making one partition of ${String(Math.round(chunkBytes / 1e6))} MB …`);
  await dropTable(stage.target);
  await createTable(stage.source, size, { keys: true });
  await fillTable(stage.source, size);
  const spec: BackupSpec = { name: 'big-chunk', compression: 'zstd', encrypt: true, verify: 'digest' };
  const backup = await stage.withWorker((worker) => runStage(stage, worker, { spec, of: 'backup' }));
  say(`  backup: peak ${backup.peakMB?.toFixed(1) ?? '?'} MB, ${backup.wallSeconds.toFixed(1)} s`);
  const restore = await stage.withWorker((worker) => runStage(stage, worker, { spec, of: 'restore' }));
  say(`  restore: peak ${restore.peakMB?.toFixed(1) ?? '?'} MB, ${restore.wallSeconds.toFixed(1)} s`);
  const [expected, found] = await Promise.all([contentOf(stage.source), contentOf(stage.target)]);
  if (JSON.stringify(found) !== JSON.stringify(expected)) throw new Error('Not everything was restored.');
  await rm(join(stage.folder, 'vault', spec.name), { recursive: true, force: true });
  await dropTable(stage.source);
  const peaks = [backup.peakMB, restore.peakMB].flatMap((peak) => (peak === null ? [] : [peak]));
  return {
    peakMemoryMB: peaks.length === 0 ? null : rounded(Math.max(...peaks), 1),
    chunkMB: rounded(backup.bytes / 1e6, 1),
    backup: { peakMB: backup.peakMB, seconds: rounded(backup.wallSeconds, 3) },
    restore: { peakMB: restore.peakMB, seconds: rounded(restore.wallSeconds, 3) },
  };
}
