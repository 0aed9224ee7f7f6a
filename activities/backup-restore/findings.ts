import { ApplicationFailure } from '@temporalio/activity';
import type { PreflightFinding } from '../../definitions/contracts/copy.ts';
import type { BackupPlace } from '../../definitions/contracts/job.ts';
import { errorTable, SynclineError } from '../../definitions/errors.ts';
import { refuseOn } from '../copy/prepare-copy.ts';

/** What is wrong with a backup, found before anything was changed: in the words of a preflight. */
export function findingOf(error: SynclineError): PreflightFinding {
  return { severity: 'error', code: error.code, table: null, message: error.message, cure: error.cure };
}

/** Whether an error says that a backup cannot be used as it is; others (network, rights) are none of its own. */
export function isAboutBackup(error: unknown): error is SynclineError {
  return error instanceof SynclineError && /^(artifact|files)\./.test(error.code);
}

/** Reads of a backup; what is wrong with it is a refusal of the whole stage. */
export async function refusal<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (isAboutBackup(error)) refuseOn([findingOf(error)]);
    throw error;
  }
}

export function missingBackup({ store, path }: BackupPlace): ApplicationFailure {
  const code = 'artifact.missing';
  const message = `There is no backup under ${path} of store ${store} yet.`;
  const finding = { severity: 'error', code, table: null, message, cure: errorTable[code].cure };
  return ApplicationFailure.create({
    type: 'preflight.refused',
    message,
    nonRetryable: true,
    details: [[finding]],
  });
}
