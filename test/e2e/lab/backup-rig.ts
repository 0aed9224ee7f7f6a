import { type FilePlace } from './file-place.ts';
import { createRig, type Place, type Rig } from './rig.ts';
import type { JobText, Shape } from './shape.ts';

/** Where backups lie below the root of each place of files. */
export const backupPath = 'trades';

/** A rig whose job takes `lab.t` from the source to the vault, on to the far place, and from there to the target. */
export interface BackupRig extends Rig {
  readonly vault: FilePlace;
  readonly far: FilePlace;
}

export interface BackupRigOptions {
  readonly shape: Shape;
  readonly vault: FilePlace;
  readonly far: FilePlace;
  /** Under `source:` of the job, after the tables. */
  readonly source?: string;
  /** Under `backup:` of the job, after store and path. */
  readonly backup?: string;
  /** Further lines of the job. */
  readonly lines?: readonly string[];
  /** Task queue of the workers near a store, by the name of the store. */
  queues?(taskQueue: string): Readonly<Record<string, string>>;
}

export async function createBackupRig(place: Place, options: BackupRigOptions): Promise<BackupRig> {
  const { shape, vault, far } = options;
  const rig = await createRig(place, shape, {
    stores: { vault: vault.entry, far: far.entry },
    text: (job) => backupJobText(job, options),
    queues: (taskQueue) => options.queues?.(taskQueue) ?? {},
  });
  return {
    ...rig,
    vault,
    far,
    async end() {
      await rig.end();
      await Promise.all([vault.end(), far.end()]);
    },
  };
}

/** A worker that ends by itself, exit code 1, fails the test at once and says why. */
export async function withBackupRig(
  place: Place,
  options: BackupRigOptions,
  body: (rig: BackupRig) => Promise<void>,
): Promise<void> {
  const rig = await createBackupRig(place, options);
  try {
    await Promise.race([body(rig), rig.crash]);
  } finally {
    await rig.end();
  }
}

export function backupJobText(
  job: JobText,
  { source = '', backup = '', lines = [] }: Pick<BackupRigOptions, 'source' | 'backup' | 'lines'>,
): string {
  const slices = job.chunkBytes === undefined ? '' : `, chunkBytes: ${job.chunkBytes}`;
  return [
    'kind: backup-restore',
    `name: ${job.name}`,
    `source: { store: source, tables: [lab.t]${slices}${source === '' ? '' : `, ${source}`} }`,
    `backup: { store: vault, path: ${backupPath}/${backup === '' ? '' : `, ${backup}`} }`,
    `transfer: { to: { store: far, path: ${backupPath}/ } }`,
    `restore: { store: target, mode: ${job.mode} }`,
    'run:',
    `  parallel: ${job.parallel}`,
    `  verify: ${job.verify}`,
    ...(job.throttle === undefined ? [] : [`  throttle: ${job.throttle}`]),
    `onFailure: ${job.onFailure ?? '{ backoff: { initial: 200ms, max: 1s } }'}`,
    ...lines,
    '',
  ].join('\n');
}
