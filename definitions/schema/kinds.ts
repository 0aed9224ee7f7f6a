import { backupRestoreShape, type BackupRestoreDefinition } from './backup-restore.ts';
import { copyShape, type CopyDefinition } from './copy.ts';

/** One line a kind. */
export const jobShapes = { copy: copyShape, 'backup-restore': backupRestoreShape } as const;

export type JobDefinition = CopyDefinition | BackupRestoreDefinition;

/** Kinds of the design that this version does not build. */
export const plannedKinds: readonly string[] = ['duplication', 'rebalance', 'offload'];
