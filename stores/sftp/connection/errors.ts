import { SynclineError, type ErrorCode } from '../../../definitions/errors.ts';

/** Status codes of SFTP version 3. */
export const status = { missing: 2, denied: 3, failure: 4, unsupported: 8 } as const;

/** The server's answer to one request, other than OK. Its text stays in `cause`: it may name paths of the server. */
export class ServerStatus extends Error {
  override readonly name = 'ServerStatus';
  readonly status: number;

  constructor(code: number, cause?: unknown) {
    super(`SFTP status ${String(code)}`, { cause });
    this.status = code;
  }
}

export function hasStatus(error: unknown, code: number): boolean {
  return error instanceof ServerStatus && error.status === code;
}

export function failure(
  code: ErrorCode,
  store: string,
  options: { sentence: string; cause?: unknown },
): SynclineError {
  const { sentence, cause } = options;
  return new SynclineError(code, sentence, { details: { store }, ...(cause === undefined ? {} : { cause }) });
}

const codeOfStatus: Readonly<Record<number, { code: ErrorCode; what: string }>> = {
  [status.missing]: { code: 'files.missing', what: 'A file or directory is not there' },
  [status.denied]: { code: 'store.permission', what: 'The user of the store lacks a right' },
  [status.unsupported]: { code: 'store.unsupported', what: 'The server does not know a request' },
};

/** Answers of the server become ours; everything else (a failing source, the reason of an abort) stays as it is. */
export function translateStatus(error: unknown, place: { store: string; doing: string }): unknown {
  if (!(error instanceof ServerStatus)) return error;
  const known = codeOfStatus[error.status];
  const what = known?.what ?? `The server failed (status ${String(error.status)})`;
  return failure(known?.code ?? 'internal.unexpected', place.store, {
    sentence: `${what} (store ${place.store}, while ${place.doing}).`,
    cause: error,
  });
}
