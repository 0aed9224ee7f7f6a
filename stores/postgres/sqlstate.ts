import { type ErrorCode, type ErrorDetails, SynclineError } from '../../definitions/errors.ts';

/**
 * The one place where errors of the driver become ours.
 *
 * Only the SQLSTATE and the names of objects are kept: message, detail, hint and context of a PostgreSQL error can
 * hold row values (`invalid input syntax for type integer: "…"`). The full text stays in the server's own log.
 */

/** SQLSTATE, or its two-letter class, to code. The longest match wins. */
const codeOfState: Readonly<Record<string, ErrorCode>> = {
  '08': 'store.connectionLost',
  '23': 'target.constraint',
  '28': 'store.authentication',
  '3D000': 'store.authentication',
  '40': 'store.conflict',
  '42501': 'store.permission',
  '42P01': 'source.chunkChanged',
  '53': 'store.tooManyConnections',
  '53100': 'store.diskFull',
  '55P03': 'store.lockTimeout',
  '57': 'store.connectionLost',
  '57014': 'store.connectionLost',
  '58': 'store.unreachable',
};

const sentenceOf: Partial<Record<ErrorCode, string>> = {
  'store.connectionLost': 'The server ended the session',
  'store.authentication': 'The server refused the login',
  'store.permission': 'The role of the store lacks a right',
  'store.conflict': 'The transaction met a deadlock or a serialization failure',
  'store.lockTimeout': 'A lock was not free in time',
  'store.diskFull': 'The disk of the server is full',
  'store.tooManyConnections': 'The server has no resources left for the session',
  'target.constraint': 'A row breaks a constraint',
  'target.partitionMissing': 'A row has no partition to go to',
  'source.chunkChanged': 'A table or partition is not there any more',
};

const networkCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

interface ServerError {
  readonly code: string;
  readonly severity: string;
  readonly schema?: string;
  readonly table?: string;
  readonly column?: string;
  readonly constraint?: string;
  /** Function of the server that raised it. */
  readonly routine?: string;
}

function isServerError(error: unknown): error is ServerError {
  return error instanceof Error && 'code' in error && 'severity' in error && typeof error.code === 'string';
}

/** What the translation may add: which store, and what was being done, in words without values. */
export interface ErrorPlace {
  readonly store: string;
  readonly doing: string;
  readonly chunk?: string;
}

export function translateError(error: unknown, place: ErrorPlace): SynclineError {
  if (error instanceof SynclineError) return error;
  if (isServerError(error)) return fromServer(error, place);
  const networkCode = error instanceof Error && 'code' in error ? String(error.code) : '';
  const text = error instanceof Error ? error.message : '';
  const neverConnected = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'].includes(
    networkCode,
  );
  if (neverConnected || text.includes('timeout expired') || text.includes('timeout exceeded')) {
    const suffix = networkCode === '' ? 'no answer in time' : networkCode;
    return new SynclineError(
      'store.unreachable',
      `Store ${place.store} cannot be reached (${suffix}) while ${place.doing}.`,
      {
        details: detailsOf(place),
        cause: error,
      },
    );
  }
  if (networkCodes.has(networkCode) || /terminated|closed|not queryable/i.test(text)) {
    return new SynclineError(
      'store.connectionLost',
      `The session with store ${place.store} was lost while ${place.doing}.`,
      {
        details: detailsOf(place),
        cause: error,
      },
    );
  }
  if (/password must be a string|SASL|sslmode|SSL/.test(text)) {
    return new SynclineError(
      'store.authentication',
      `Store ${place.store} refused the login, or no password was given.`,
      {
        details: detailsOf(place),
        cause: error,
      },
    );
  }
  const kind = error instanceof Error ? error.name : typeof error;
  return new SynclineError(
    'internal.unexpected',
    `Unexpected ${kind} in the worker while ${place.doing} (store ${place.store}).`,
    {
      details: detailsOf(place),
      cause: error,
    },
  );
}

function fromServer(error: ServerError, place: ErrorPlace): SynclineError {
  const code = hasNoPartition(error) ? 'target.partitionMissing' : codeOf(error.code);
  const details: ErrorDetails = {
    ...detailsOf(place),
    sqlState: error.code,
    ...(error.table === undefined ? {} : { table: `${error.schema ?? ''}.${error.table}` }),
    ...(error.column === undefined ? {} : { column: error.column }),
    ...(error.constraint === undefined ? {} : { constraint: error.constraint }),
  };
  const named = [
    details.constraint === undefined ? '' : `constraint ${details.constraint}`,
    details.table === undefined ? '' : `table ${details.table}`,
    details.column === undefined ? '' : `column ${details.column}`,
  ].filter((part) => part !== '');
  const what = sentenceOf[code] ?? 'The server refused a statement';
  const where = named.length === 0 ? '' : `: ${named.join(', ')}`;
  const message = `${what}${where} (SQLSTATE ${error.code}, store ${place.store}, while ${place.doing}).`;
  return new SynclineError(code, message, { details, cause: error });
}

function codeOf(state: string): ErrorCode {
  return codeOfState[state] ?? codeOfState[state.slice(0, 2)] ?? 'store.statement';
}

/** A row without a partition has the state of a broken CHECK; only the routine tells them apart. */
function hasNoPartition({ code, routine }: ServerError): boolean {
  return code === '23514' && routine === 'ExecFindPartition';
}

function detailsOf(place: ErrorPlace): ErrorDetails {
  return { store: place.store, ...(place.chunk === undefined ? {} : { chunk: place.chunk }) };
}
