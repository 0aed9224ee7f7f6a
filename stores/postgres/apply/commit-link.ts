import type { ErrorCode } from '../../../definitions/errors.ts';
import type { BatchLine, BatchRecord, LinkState } from '../../spi/log-target.ts';
import type { LogPosition } from '../../spi/log.ts';
import { quoteLiteral } from '../identifiers.ts';
import { linkColumns, whereLink } from './link-state.ts';
import type { Step } from './message.ts';

/** What the open transaction adds to the totals of its link. */
export interface Tally {
  transactions: number;
  changes: number;
  applied: number;
  filtered: number;
  bytes: number;
  conflicts: number;
  deadTransactions: number;
  spooledChanges: number;
  spooledBytes: number;
  /** Of the newest source transaction. */
  committedAtMs: number | null;
  /** Of a transaction that was set aside. */
  code: ErrorCode | null;
}

export function emptyTally(): Tally {
  return {
    transactions: 0,
    changes: 0,
    applied: 0,
    filtered: 0,
    bytes: 0,
    conflicts: 0,
    deadTransactions: 0,
    spooledChanges: 0,
    spooledBytes: 0,
    committedAtMs: null,
    code: null,
  };
}

export interface LinkMove {
  readonly state: LinkState;
  readonly to: LogPosition;
  readonly tally: Tally;
  readonly consistentAt: LogPosition | null;
  readonly record: BatchRecord | null;
}

/** Batches that are remembered of a link, about. */
export const batchesKept = 10_000;

/**
 * The link's row moved by compare-and-set, and the line of the batch; answers the row, or nothing when somebody else
 * has moved it.
 */
export function moveLinkStep({ state, to, tally, consistentAt, record }: LinkMove): Step {
  const sums = [
    ['transactions', tally.transactions],
    ['changes', tally.changes],
    ['applied', tally.applied],
    ['filtered', tally.filtered],
    ['dead_transactions', tally.deadTransactions],
    ['bytes', tally.bytes],
    ['conflicts', tally.conflicts],
    ['spooled_changes', tally.spooledChanges],
    ['spooled_bytes', tally.spooledBytes],
    ['batches', record === null ? 0 : 1],
  ] as const;
  const sets = sums.map(([column, value]) => `${column} = ${column} + ${String(Math.round(value))}`);
  if (tally.committedAtMs !== null) {
    const at = String(Math.round(tally.committedAtMs));
    sets.push(`applied_commit_at = greatest(coalesce(applied_commit_at, ${at}), ${at})`);
  }
  if (consistentAt !== null)
    sets.push(`consistent_at = coalesce(consistent_at, ${quoteLiteral(consistentAt)})`);
  const moved = `UPDATE syncline.link SET position = ${quoteLiteral(to)}, ${sets.join(', ')}
    WHERE ${whereLink(state.ref)} AND position = ${quoteLiteral(state.position)} AND generation = ${String(state.generation)}
    RETURNING *`;
  const outcome = { state: tally.code === null ? 'finished' : 'skipped', code: tally.code } as const;
  const noted = record === null ? '' : `, noted AS (${noteBatch({ state, to, tally }, record, outcome)})`;
  return { text: `WITH moved AS (${moved})${noted} SELECT ${linkColumns} FROM moved` };
}

function noteBatch(
  { state, to, tally }: Pick<LinkMove, 'state' | 'to' | 'tally'>,
  record: BatchRecord,
  outcome: Pick<BatchLine, 'state' | 'code'>,
): string {
  const values = [
    Math.round(record.startedAtMs),
    Date.now(),
    quoteLiteral(state.position),
    quoteLiteral(to),
    tally.transactions,
    tally.changes,
    Math.round(tally.bytes),
    record.lagP50Ms,
    record.lagP99Ms,
    record.lagMaxMs,
    record.lagging,
    quoteLiteral(outcome.state),
    outcome.code === null ? 'NULL' : quoteLiteral(outcome.code),
  ];
  return `INSERT INTO syncline.batch (job, target, id, started_at, finished_at, from_position, to_position,
      transactions, changes, bytes, lag_p50_ms, lag_p99_ms, lag_max_ms, lagging, state, code)
    SELECT job, target, batches, ${values.join(', ')} FROM moved`;
}

export interface FailedBatch extends Pick<LinkMove, 'state' | 'tally'> {
  readonly startedAtMs: number;
  readonly code: ErrorCode;
}

/** A line of its own: what failed was rolled back. */
export function failedBatch({ state, tally, startedAtMs, code }: FailedBatch): string {
  const record = { startedAtMs, lagP50Ms: 0, lagP99Ms: 0, lagMaxMs: 0, lagging: 0 };
  const line = noteBatch({ state, to: state.position, tally }, record, { state: 'failed', code });
  return `WITH moved AS (UPDATE syncline.link SET batches = batches + 1 WHERE ${whereLink(state.ref)} RETURNING *) ${line}`;
}
