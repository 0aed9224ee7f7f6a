import type { LinkProgress } from '../../../definitions/contracts/duplication.ts';
import { bytesBetween, type LogReading, type RetainedLog } from '../../../stores/spi/log.ts';
import type { LinkState, LinkTable } from '../../../stores/spi/log-target.ts';

const namedTables = 20;

export interface ProgressFacts {
  readonly state: LinkState;
  readonly retained: RetainedLog | null;
  readonly special: readonly LinkTable[];
  /** Only who follows knows. */
  readonly following?: {
    readonly way: LogReading['way'];
    readonly lagMs: number | null;
    readonly lastReadAtMs: number | null;
  };
}

/** What status and heartbeats show of a link. */
export function progressOf({ state, retained, special, following }: ProgressFacts): LinkProgress {
  const { totals, position, consistentAt, appliedCommitAtMs } = state;
  const age = appliedCommitAtMs === null ? null : Math.max(0, Date.now() - appliedCommitAtMs);
  const lagBytes = retained === null ? null : bytesBetween(position, retained.end);
  const lagMs = following === undefined ? age : following.lagMs;
  const readAt = following?.lastReadAtMs ?? null;
  return {
    position,
    consistentAt,
    lagMs: lagBytes === 0 ? 0 : lagMs,
    lagBytes,
    retainedBytes: retained === null ? null : retained.bytes + totals.spooledBytes,
    spooledChanges: totals.spooledChanges,
    spooledBytes: totals.spooledBytes,
    transactions: totals.transactions,
    changes: totals.changes,
    applied: totals.applied,
    filtered: totals.filtered,
    deadTransactions: totals.deadTransactions,
    conflicts: totals.conflicts,
    bytes: totals.bytes,
    lastPullAt: readAt === null ? null : new Date(readAt).toISOString(),
    way: following?.way ?? null,
    tables: special.slice(0, namedTables).map((one) => ({
      table: one.table,
      state: one.state,
      code: one.code,
      message: one.message,
    })),
    danger: retained === null || retained.state === 'kept' ? null : retained.reason,
  };
}
