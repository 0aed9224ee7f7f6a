import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { tableName } from '../bench-table.ts';
import type { BuiltWorker } from '../built-worker.ts';
import { type Measured, runDefinition } from '../job-run.ts';
import type { Stage } from '../stage.ts';

/** What the stages of one backup have in common; `name` is its path in both vaults too. */
export interface BackupSpec {
  readonly name: string;
  readonly compression: 'zstd' | 'gzip' | 'none';
  /** Absent: what a job has that does not name one. */
  readonly level?: number;
  readonly encrypt: boolean;
  readonly verify: 'none' | 'count' | 'digest';
}

type StageName = 'backup' | 'transfer' | 'restore';

/** One stage as a job of its own, as for a disk that is carried: the clock sees nothing of the others. No chunk is cut. */
export async function runStage(
  stage: Stage,
  worker: BuiltWorker,
  { spec, of, from = 'vault' }: { readonly spec: BackupSpec; readonly of: StageName; readonly from?: string },
): Promise<Measured> {
  const level = spec.level === undefined ? '' : `, level: ${String(spec.level)}`;
  const lines = [
    'kind: backup-restore',
    `name: ${spec.name}`,
    `stages: [${of}]`,
    ...(of === 'backup' ? [`source: { store: source, tables: [${tableName}], chunkBytes: 1000GB }`] : []),
    `backup: { store: ${from}, path: ${spec.name}, compression: ${spec.compression}${level}, encrypt: ${String(spec.encrypt)} }`,
    ...(of === 'transfer' ? [`transfer: { to: { store: far, path: ${spec.name} } }`] : []),
    ...(of === 'restore' ? ['restore: { store: target, createTables: true }'] : []),
    `run: { verify: ${spec.verify} }`,
  ];
  return await runDefinition(stage, worker, `${lines.join('\n')}\n`);
}

/** Of all files below. */
export async function bytesBelow(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const sizes = entries
    .filter((entry) => entry.isFile())
    .map(async (entry) => (await stat(join(entry.parentPath, entry.name))).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}
