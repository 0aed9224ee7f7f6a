import { type ErrorCode, SynclineError } from '../../definitions/errors.ts';

export interface S3Fault {
  readonly store: string;
  readonly bucket: string;
  readonly key?: string;
}

/** The server's names for what went wrong. */
const named: readonly (readonly [ErrorCode, RegExp])[] = [
  ['files.missing', /^(NoSuchKey|NotFound|NoSuchBucket)$/],
  [
    'store.authentication',
    /^(InvalidAccessKeyId|SignatureDoesNotMatch|AuthorizationHeaderMalformed|ExpiredToken|InvalidToken|InvalidSecurity|InvalidClientTokenId|CredentialsProviderError|TokenProviderError|XAdminUserNotFound|RequestTimeTooSkewed|Unauthorized)$/,
  ],
  ['store.permission', /^(AccessDenied|AllAccessDisabled|AccountProblem|Forbidden|KMS\.\w*Denied\w*)$/],
  [
    'store.slowDown',
    /^(SlowDown\w*|Throttl\w+|TooManyRequests\w*|RequestLimitExceeded|BandwidthLimitExceeded)$/,
  ],
  ['store.slowDown', /^(ServiceUnavailable|Busy|ServerBusy|OperationAborted)$/],
  ['store.diskFull', /^(QuotaExceeded|\w*StorageFull|InsufficientStorage|InsufficientCapacity)$/],
  // A multipart upload that another attempt of ours has swept away: the next attempt begins a new one.
  ['store.connectionLost', /^(NoSuchUpload|InternalError|RequestTimeout|IncompleteBody)$/],
  ['store.unreachable', /^(TimeoutError|PermanentRedirect|UnknownEndpoint)$/],
];

const bySystem: Readonly<Record<string, ErrorCode>> = {
  ECONNREFUSED: 'store.unreachable',
  ENOTFOUND: 'store.unreachable',
  EAI_AGAIN: 'store.unreachable',
  EHOSTUNREACH: 'store.unreachable',
  ENETUNREACH: 'store.unreachable',
  ETIMEDOUT: 'store.unreachable',
  ECONNRESET: 'store.connectionLost',
  ECONNABORTED: 'store.connectionLost',
  EPIPE: 'store.connectionLost',
  ERR_STREAM_PREMATURE_CLOSE: 'store.connectionLost',
};

/** Names what failed by code and status only: the server's text may quote the access key and the request. */
export function s3Error(error: unknown, { store, bucket, key }: S3Fault): SynclineError {
  if (error instanceof SynclineError) return error;
  const { name, status, system } = factsOf(error);
  // The SDK calls a broken connection a TimeoutError: without an answer, the system's word goes first.
  const code =
    (status === 0 ? bySystem[system] : undefined) ??
    named.find(([, pattern]) => pattern.test(name))?.[0] ??
    byStatus(status) ??
    byNetwork(system);
  const reason = [status === 0 ? '' : `HTTP ${String(status)}`, name, system]
    .filter((part) => part !== '')
    .join(', ');
  return new SynclineError(code, sentence({ code, name, reason, what: key ?? `bucket ${bucket}`, store }), {
    details: { store },
  });
}

interface Sentence {
  readonly code: ErrorCode;
  readonly name: string;
  readonly reason: string;
  readonly what: string;
  readonly store: string;
}

function sentence({ code, name, reason, what, store }: Sentence): string {
  if (name === 'NoSuchBucket') return `Store ${store}: the bucket does not exist.`;
  if (name === 'PermanentRedirect') return `Store ${store}: the bucket is in another region; set \`region\`.`;
  if (name === 'RequestTimeTooSkewed')
    return `Store ${store}: the clocks of worker and server differ too much.`;
  if (code === 'files.missing') return `Store ${store} has no object ${what}.`;
  return `Store ${store}: a request about ${what} failed (${reason === '' ? 'unknown reason' : reason}).`;
}

function byStatus(status: number): ErrorCode | null {
  if (status === 401) return 'store.authentication';
  if (status === 403) return 'store.permission';
  if (status === 429 || status === 503) return 'store.slowDown';
  if (status === 507) return 'store.diskFull';
  if (status === 501) return 'store.unsupported';
  if (status >= 500 || status === 408 || status === 409) return 'store.connectionLost';
  return status >= 400 ? 'store.unsupported' : null;
}

/** No answer and no known reason: TLS names its faults by codes of its own, the rest is a broken connection. */
function byNetwork(system: string): ErrorCode {
  return /CERT|TLS|SSL|UNABLE_TO|SELF_SIGNED/.test(system) ? 'store.unreachable' : 'store.connectionLost';
}

interface Facts {
  readonly name: string;
  readonly status: number;
  readonly system: string;
}

const word = /^[A-Za-z0-9_.]{1,64}$/;

function factsOf(error: unknown): Facts {
  const { name, code, Code, $metadata, $response } = (error ?? {}) as Record<string, unknown>;
  const status =
    ($metadata as { httpStatusCode?: number } | undefined)?.httpStatusCode ??
    ($response as { statusCode?: number } | undefined)?.statusCode ??
    0;
  const own = [name, Code].find(
    (text) => typeof text === 'string' && !/^(Error|Unknown\w*|S3ServiceException|\d+)$/.test(text),
  );
  return {
    name: typeof own === 'string' && word.test(own) ? own : '',
    status,
    system: typeof code === 'string' && /^[A-Z][A-Z0-9_]{2,40}$/.test(code) ? code : '',
  };
}
