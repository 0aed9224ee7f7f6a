import { SynclineError } from '../definitions/errors.ts';
import type { TemporalAccess } from '../worker/connection.ts';
import { findJob, type JobAddress } from '../worker/jobs/job-address.ts';

/** What every order to a duplication may be narrowed to: `--target <store>`. */
export interface LinkOption {
  readonly target?: string;
}

export const linkOption = [
  '--target <store>',
  'of a duplication: only the link to this target (default: all)',
] as const;

/** As the Updates take it: no key that is undefined. */
export function linkInput({ target }: LinkOption): LinkOption {
  return target === undefined ? {} : { target };
}

/** Errors: `definition.invalid` when a job without links is told of one. */
export function expectLinks(address: JobAddress, { target }: LinkOption): void {
  if (target !== undefined) expectDuplication(address);
}

/** Errors: `definition.invalid` for a job of another kind. */
export function expectDuplication({ kind, workflowId }: JobAddress): void {
  if (kind !== 'duplication')
    throw new SynclineError('definition.invalid', `The job ${workflowId} is no duplication.`);
}

/** Errors: `definition.invalid` for a job of another kind, those of `findJob`. */
export async function findDuplication(access: TemporalAccess, name: string): Promise<JobAddress> {
  const address = await findJob(access, name);
  expectDuplication(address);
  return address;
}
