import { createHash } from 'node:crypto';
import type { LoadRef } from '../../../definitions/contracts/copy.ts';
import { quoteIdent } from '../identifiers.ts';

/** Names of our own tables on the target, all in schema `syncline`: `x_<job>_<load and chunk>`. */

export const boundConstraint = 'syncline_bound';

function hash(text: string, characters: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, characters);
}

/** Every staging and shadow table of a job begins with this. */
export function stagingPrefix(job: string): string {
  return `x_${hash(job, 12)}_`;
}

/** Shadow of one chunk of one load: the same name for every attempt, so that slices meet there. */
export function shadowName(ref: LoadRef, chunk: string): string {
  return `${stagingPrefix(ref.job)}${hash(`${ref.load}\n${chunk}`, 20)}`;
}

export function inSyncline(table: string): string {
  return `syncline.${quoteIdent(table)}`;
}

const nameableBytes = 1024 * 1024;

/** What a session is called. A unit that is over in milliseconds does not get a round trip for its own name. */
export function sessionLabel(job: string, unit: { readonly chunk: string; readonly bytes: number }): string {
  return unit.bytes < nameableBytes ? job : `${job}/${unit.chunk}`;
}
