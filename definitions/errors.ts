/**
 * The closed list of error codes and, for each, what happens next.
 *
 * One table says everything: whether Temporal retries by itself, what the operator does, what
 * `docs/reference/errors.md` prints. Workflows compare codes, never message texts.
 *
 * A message may name stores, tables, chunks, columns and SQLSTATEs. It never holds a row value, a key,
 * a bound of a slice or a credential: a server's own message, detail and context do, so they stay behind.
 */

/**
 * - `automatic`: a later attempt may succeed with nobody doing anything (network, restart, lock).
 * - `after-fix`: somebody must change something first; then the same chunk can be retried.
 * - `never`: the job as written cannot succeed; a retry is refused.
 */
export type RetryDirective = 'automatic' | 'after-fix' | 'never';

export interface ErrorRule {
  readonly retry: RetryDirective;
  /** One sentence for the operator: what to do. */
  readonly cure: string;
}

export const errorTable = {
  'definition.invalid': {
    retry: 'never',
    cure: 'Correct the job file at the printed line; `syncline validate` checks it without connecting.',
  },
  'definition.unknownStore': {
    retry: 'after-fix',
    cure: 'Name the store under `stores:` in the syncline.yaml of every worker, then restart the workers.',
  },
  'definition.missingSecret': {
    retry: 'after-fix',
    cure: 'Set the named environment variable where the worker runs, then restart the worker.',
  },
  'store.unreachable': {
    retry: 'automatic',
    cure: 'Check that the server is up and that host and port are reachable from the worker.',
  },
  'store.connectionLost': {
    retry: 'automatic',
    cure: 'Nothing if it happens once; otherwise look for restarts, fail-overs or a proxy that closes sessions.',
  },
  'store.authentication': {
    retry: 'after-fix',
    cure: "Correct user or password of the store, or the server's pg_hba.conf.",
  },
  'store.permission': {
    retry: 'after-fix',
    cure: 'Grant the named right to the role of the store.',
  },
  'store.tooManyConnections': {
    retry: 'automatic',
    cure: 'Lower `connections` of the store or `parallel` of the job, or raise max_connections.',
  },
  'store.diskFull': {
    retry: 'after-fix',
    cure: 'Free space on the server (the failed chunk was rolled back), then `syncline resume`.',
  },
  'store.lockTimeout': {
    retry: 'automatic',
    cure: 'Another session holds a lock; it is named in the status. It is tried again.',
  },
  'store.conflict': {
    retry: 'automatic',
    cure: 'A deadlock or serialization failure; it is tried again.',
  },
  'store.slowDown': {
    retry: 'automatic',
    cure: 'The store asks for fewer requests; it is tried again. Lower `parallel` if it repeats.',
  },
  'store.hostKey': {
    retry: 'after-fix',
    cure: 'The host key is unknown or has changed: compare it with the server, then correct `hostKey` or `knownHosts` of the store.',
  },
  'store.unsupported': {
    retry: 'never',
    cure: 'Use a server version or store kind that has the named ability.',
  },
  'store.statement': {
    retry: 'after-fix',
    cure: "Look up the SQLSTATE in the server's log, where the full message is, and correct the cause.",
  },
  'source.tableMissing': {
    retry: 'after-fix',
    cure: 'Correct the name under `source.tables`, or create the table.',
  },
  'source.columnMissing': {
    retry: 'after-fix',
    cure: 'Correct `columns` or `window.column`; names are case-sensitive.',
  },
  'source.chunkChanged': {
    retry: 'after-fix',
    cure: 'A partition was dropped, detached or redefined while copying. Run the job again to plan anew.',
  },
  'source.noKey': {
    retry: 'never',
    cure: 'The chosen mode needs a primary key or a unique not-null index: add one, or choose another mode.',
  },
  'source.rowSecurity': {
    retry: 'after-fix',
    cure: 'A row policy would hide rows: use a role with BYPASSRLS, or the owner without FORCE ROW LEVEL SECURITY.',
  },
  'source.invalidFilter': {
    retry: 'after-fix',
    cure: 'The server refused `where`: try it in psql as SELECT 1 FROM table WHERE (…).',
  },
  'source.snapshotLost': {
    retry: 'after-fix',
    cure: 'The one snapshot of the whole backup is gone (held too long, or its session ended). Run the job again, raise `snapshotLimit`, or use `consistency: cut`, which holds none.',
  },
  'files.missing': {
    retry: 'after-fix',
    cure: 'The named object is not in the store: look whether path and store are right, or somebody removed it.',
  },
  'files.unsafeKey': {
    retry: 'never',
    cure: 'The name of an object climbs out of its path or holds characters that no artifact of syncline has.',
  },
  'artifact.missing': {
    retry: 'after-fix',
    cure: 'There is no such backup at this path; `syncline backup list` shows which there are.',
  },
  'artifact.corrupt': {
    retry: 'after-fix',
    cure: 'The named object is not what its manifest says: bring it again from another copy of the backup; `syncline backup verify` checks all.',
  },
  'artifact.newerFormat': {
    retry: 'after-fix',
    cure: 'The backup was written by a newer syncline: restore it with that version or a later one.',
  },
  'artifact.wrongKey': {
    retry: 'after-fix',
    cure: 'Give the store the key that the backup was made with (`encryption.key`, or one of `encryption.earlier`); the message names its id.',
  },
  'artifact.foreign': {
    retry: 'after-fix',
    cure: 'Another job keeps its backups at this path: give this job a path of its own.',
  },
  'target.tableMissing': {
    retry: 'after-fix',
    cure: 'Create the table, or set `createTables: true`.',
  },
  'target.columnMissing': {
    retry: 'after-fix',
    cure: 'Add the column on the target, or leave it out with `columns`.',
  },
  'target.typeMismatch': {
    retry: 'after-fix',
    cure: 'Make the target column at least as wide as the source column; narrowing would round silently.',
  },
  'target.partitionMissing': {
    retry: 'after-fix',
    cure: 'Create the partition on the target, or set `createTables: true`.',
  },
  'target.unaccountedRows': {
    retry: 'after-fix',
    cure: 'The target already holds rows in this window that syncline did not write. Remove them, or use `replace` or `upsert`.',
  },
  'target.replaceRefused': {
    retry: 'after-fix',
    cure: 'Replacing would lose what hangs on the target table (the report names it). Remove it or use `upsert`.',
  },
  'target.constraint': {
    retry: 'after-fix',
    cure: 'A row breaks the named constraint of the target: correct the row or the constraint, then retry.',
  },
  'target.swapBlocked': {
    retry: 'automatic',
    cure: 'A long reader holds the old partition; the swap is tried again without loading again.',
  },
  'target.superseded': {
    retry: 'automatic',
    cure: 'A newer attempt of this chunk took over; nothing to do.',
  },
  'target.newerLedger': {
    retry: 'after-fix',
    cure: 'The ledger on the target (schema `syncline`) was made by a newer syncline: run that version or a later one.',
  },
  'verify.countDiffers': {
    retry: 'after-fix',
    cure: 'Look for triggers or rules on the target that change rows, then `syncline retry`.',
  },
  'verify.digestDiffers': {
    retry: 'after-fix',
    cure: 'Look for triggers, defaults or type differences on the target that change values, then `syncline retry`.',
  },
  'verify.totalsDiffer': {
    retry: 'never',
    cure: 'Read, written and skipped rows do not add up; keep the ledger and report this as a bug.',
  },
  'log.slotLost': {
    retry: 'after-fix',
    cure: 'The source no longer has the log of this link (the message says why). `syncline resync` loads again, chunk by chunk; with `onFailure: slow` that begins by itself.',
  },
  'log.slotBusy': {
    retry: 'automatic',
    cure: 'Another session reads the slot of this link; it is ended and tried again.',
  },
  'log.barrierTimeout': {
    retry: 'automatic',
    cure: 'A transaction on the source has been open too long; the message names its session. End it, or wait.',
  },
  'log.notReady': {
    retry: 'after-fix',
    cure: 'Make the source ready for logical replication as the message says (wal_level, replication slots, right REPLICATION, replica identities).',
  },
  'log.retentionExceeded': {
    retry: 'after-fix',
    cure: 'The log kept for this link grew over `retention.maxLog` (of a backup: `maxLog`), and its slot was dropped. Cure what held it up, then `syncline resume`: it loads again, chunk by chunk; a backup is run again.',
  },
  'log.schemaChanged': {
    retry: 'after-fix',
    cure: 'A table changed its columns on the source. Change it on the target likewise, then `syncline resume`.',
  },
  'log.rowMissing': {
    retry: 'after-fix',
    cure: 'A change needs a row that the target does not have: somebody else wrote there. `syncline verify --repair` loads the chunk again.',
  },
  'log.otherTimeline': {
    retry: 'after-fix',
    cure: 'The source was failed over or restored: what was loaded before does not fit its log. `syncline resync` loads again, chunk by chunk.',
  },
  'log.gap': {
    retry: 'after-fix',
    cure: 'The slot is ahead of the ledger of the target: changes are missing. `syncline resync` loads again, chunk by chunk.',
  },
  'link.notConsistent': {
    retry: 'after-fix',
    cure: 'The target is not equal to any one instant yet: wait until `syncline status` shows consistentAt.',
  },
  'link.unknownTable': {
    retry: 'after-fix',
    cure: '`syncline status` shows the tables of the job.',
  },
  'preflight.refused': {
    retry: 'after-fix',
    cure: 'Correct what the preflight lists; `syncline plan` runs the same checks without changing anything.',
  },
  'job.alreadyRunning': {
    retry: 'after-fix',
    cure: 'Wait for it (`syncline status`), or `syncline remove` it; `overlap: buffer` waits by itself.',
  },
  'job.notFound': {
    retry: 'after-fix',
    cure: '`syncline list` shows the jobs of this namespace.',
  },
  'job.refused': {
    retry: 'after-fix',
    cure: 'The job is in a state that does not allow this; `syncline status` shows it.',
  },
  'job.noWorker': {
    retry: 'after-fix',
    cure: 'Start a worker on the named task queue: `syncline worker`.',
  },
  'job.workerLost': {
    retry: 'automatic',
    cure: "A worker ended or was cut off while it worked; another one takes over. If it repeats, look at the workers' memory and logs.",
  },
  'job.siteDown': {
    retry: 'automatic',
    cure: 'No worker of the site that owns the store has taken the work: start one on the named task queue. The job waits for it.',
  },
  'temporal.unreachable': {
    retry: 'automatic',
    cure: 'Start a Temporal server (`syncline dev`), or set TEMPORAL_ADDRESS or TEMPORAL_PROFILE.',
  },
  'temporal.refused': {
    retry: 'after-fix',
    cure: 'Check namespace and credentials of the Temporal profile; `syncline doctor` tells which.',
  },
  'fault.injected': {
    retry: 'automatic',
    cure: "SYNCLINE_FAULT is set in the worker's environment; it is for tests.",
  },
  'internal.unexpected': {
    retry: 'automatic',
    cure: "Report this with the worker's log; the job is tried again.",
  },
} as const satisfies Record<string, ErrorRule>;

export type ErrorCode = keyof typeof errorTable;

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(errorTable, text);
}

export interface ErrorDetails {
  readonly store?: string;
  readonly table?: string;
  readonly chunk?: string;
  readonly column?: string;
  readonly constraint?: string;
  readonly sqlState?: string;
  readonly role?: string;
  readonly taskQueue?: string;
}

/** The one error class. `message` is a sentence without row values; `cause` never leaves the process. */
export class SynclineError extends Error {
  override readonly name = 'SynclineError';
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, options: { details?: ErrorDetails; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }

  get retry(): RetryDirective {
    return errorTable[this.code].retry;
  }

  get cure(): string {
    return errorTable[this.code].cure;
  }
}
