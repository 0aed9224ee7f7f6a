import { backupRestoreShape, type BackupRestoreDefinition } from './backup-restore.ts';
import { copyShape, type CopyDefinition } from './copy.ts';
import { duplicationShape, type DuplicationDefinition } from './duplication.ts';

/** One line a kind. */
export const jobShapes = {
  copy: copyShape,
  'backup-restore': backupRestoreShape,
  duplication: duplicationShape,
} as const;

export type JobDefinition = CopyDefinition | BackupRestoreDefinition | DuplicationDefinition;

/** Kinds of the design that this version does not build. */
export const plannedKinds: readonly string[] = ['rebalance', 'offload'];
