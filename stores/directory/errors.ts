import { type ErrorCode, SynclineError } from '../../definitions/errors.ts';

/** Why the system refused, as one of our codes. Its own message is kept out: it names nothing that helps more. */
const codes: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: 'store.diskFull',
  EDQUOT: 'store.diskFull',
  EFBIG: 'store.diskFull',
  EACCES: 'store.permission',
  EPERM: 'store.permission',
  EROFS: 'store.permission',
  ENAMETOOLONG: 'files.unsafeKey',
  // A name that stands for an object and a folder at once.
  ENOTDIR: 'files.unsafeKey',
  EISDIR: 'files.unsafeKey',
  EEXIST: 'files.unsafeKey',
  ENOTEMPTY: 'files.unsafeKey',
  ENOENT: 'files.missing',
  ELOOP: 'files.unsafeKey',
  EIO: 'store.connectionLost',
  ESTALE: 'store.connectionLost',
};

export interface FileFault {
  readonly store: string;
  /** Key or prefix; '' for the root. */
  readonly key: string;
}

export function directoryError(error: unknown, { store, key }: FileFault): SynclineError {
  if (error instanceof SynclineError) return error;
  const system = systemCodeOf(error);
  const what = key === '' ? 'its root' : key;
  return new SynclineError(
    codes[system] ?? 'store.unreachable',
    `Store ${store}: ${what} could not be used (${system === '' ? 'unknown reason' : system}).`,
    { details: { store }, cause: error },
  );
}

export function missing({ store, key }: FileFault): SynclineError {
  return new SynclineError('files.missing', `Store ${store} has no object ${key}.`, { details: { store } });
}

export function leadsOut({ store, key }: FileFault): SynclineError {
  return new SynclineError(
    'files.unsafeKey',
    `Store ${store}: ${key} is reached through a symbolic link below the root, which is not followed.`,
    { details: { store } },
  );
}

/** `ENOENT` and the like; '' when the error is no such thing. */
export function systemCodeOf(error: unknown): string {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? code : '';
}

/** Nothing of that name: neither the object nor a folder on the way to it. */
export function isAbsence(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes(systemCodeOf(error));
}
