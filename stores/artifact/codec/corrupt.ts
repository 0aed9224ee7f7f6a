import { SynclineError } from '../../../definitions/errors.ts';

/** `name`: the object; `what`: what is wrong with it, without any of its bytes. */
export function corrupt(name: string, what: string, cause?: unknown): SynclineError {
  return new SynclineError('artifact.corrupt', `${name}: ${what}`, cause === undefined ? {} : { cause });
}
