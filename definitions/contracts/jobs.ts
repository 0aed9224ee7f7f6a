import type { BackupRestoreInput, BackupRestoreResult } from './backup-restore.ts';
import type { CopyInput, CopyResult } from './copy.ts';
import type { DuplicationInput, DuplicationResult } from './duplication.ts';

/** Argument and result of the one workflow of a job, whatever its kind. */
export type JobInput = CopyInput | BackupRestoreInput | DuplicationInput;
export type JobResult = CopyResult | BackupRestoreResult | DuplicationResult;
