import { SynclineError } from '../../../definitions/errors.ts';
import type { Target } from './route.ts';

/** A change leaves values as they are, and the row that has them is not there. */
export function rowMissing(target: Target): SynclineError {
  return new SynclineError(
    'log.rowMissing',
    `${target.name} lacks a row that a change of the log takes unchanged values from.`,
    { details: { table: target.name } },
  );
}
