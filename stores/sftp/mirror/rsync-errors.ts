import type { ErrorCode, SynclineError } from '../../../definitions/errors.ts';
import { failure } from '../connection/errors.ts';
import type { Ended } from './run-program.ts';

interface Cause {
  readonly code: ErrorCode;
  readonly what: string;
}

/** Words of rsync, ssh and the C library in the C locale. The first that fits counts. Names of objects hold no spaces. */
const saidBy: readonly (readonly [RegExp, Cause])[] = [
  [
    /No space left on device|Disk quota exceeded|File too large/,
    { code: 'store.diskFull', what: 'the disk is full' },
  ],
  [
    /Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED|host key .* has changed/i,
    {
      code: 'store.hostKey',
      what: 'the server shows another host key than a moment ago',
    },
  ],
  [
    /Permission denied \((publickey|password|keyboard|gssapi|hostbased)|Too many authentication failures/,
    {
      code: 'store.authentication',
      what: 'the server refused the login',
    },
  ],
  [
    /Permission denied \(13\)|Operation not permitted \(1\)|Read-only file system/,
    {
      code: 'store.permission',
      what: 'a right is missing',
    },
  ],
  [
    /link_stat .* No such file or directory|file has vanished/,
    {
      code: 'files.missing',
      what: 'a file that was to be brought is not there',
    },
  ],
  [
    /Connection refused|Could not resolve hostname|No route to host|Network is unreachable|timed out during banner|Connection timed out/,
    {
      code: 'store.unreachable',
      what: 'the server cannot be reached',
    },
  ],
];

/** EXIT VALUES of rsync(1), where the words do not say more. */
const endedWith: Readonly<Record<number, Cause>> = {
  2: { code: 'store.unsupported', what: 'the two versions of rsync do not understand each other' },
  4: { code: 'store.unsupported', what: 'one of the two versions of rsync lacks an option' },
  10: { code: 'store.connectionLost', what: 'the connection was lost' },
  11: { code: 'internal.unexpected', what: 'a file could not be read or written' },
  12: { code: 'store.connectionLost', what: 'the connection was lost' },
  23: { code: 'internal.unexpected', what: 'some files could not be brought' },
  24: { code: 'files.missing', what: 'a file that was to be brought is not there' },
  30: { code: 'store.connectionLost', what: 'the server did not answer in time' },
  35: { code: 'store.unreachable', what: 'the server did not answer in time' },
  127: { code: 'store.unsupported', what: 'the server has no rsync' },
  255: { code: 'store.connectionLost', what: 'ssh lost the connection' },
};

/** What rsync says names paths and perhaps more: it is read here, and does not go on. */
export function rsyncError(store: string, { code, complaints }: Ended): SynclineError {
  const said = saidBy.find(([words]) => words.test(complaints))?.[1];
  const cause = said ?? endedWith[code ?? -1] ?? { code: 'internal.unexpected', what: 'it failed' };
  const exit = code === null ? 'ended by a signal' : `exit code ${String(code)}`;
  return failure(cause.code, store, {
    sentence: `rsync to store ${store} did not finish: ${cause.what} (${exit}).`,
  });
}
