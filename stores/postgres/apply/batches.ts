import { isErrorCode } from '../../../definitions/errors.ts';
import type { BatchLine, LinkRef } from '../../spi/log-target.ts';
import type { Sessions } from '../connection.ts';
import { hasLinks } from '../ledger/schema.ts';
import { whereLink } from './link-state.ts';

interface BatchRow {
  readonly id: string;
  readonly started_at: string;
  readonly finished_at: string;
  readonly from_position: string;
  readonly to_position: string;
  readonly transactions: string;
  readonly changes: string;
  readonly bytes: string;
  readonly lag_p50_ms: number;
  readonly lag_p99_ms: number;
  readonly lag_max_ms: number;
  readonly lagging: string;
  readonly state: BatchLine['state'];
  readonly code: string | null;
}

/** Newest first; with `ms`, those that ended within so long before now, by this worker's clock. */
export async function listBatches(
  sessions: Sessions,
  ref: LinkRef,
  since: { readonly ms: number | null; readonly limit: number },
): Promise<readonly BatchLine[]> {
  return await sessions.use(`${ref.job}/status`, async (session) => {
    if (!(await hasLinks(session))) return [];
    const recent =
      since.ms === null ? '' : ` AND finished_at >= ${String(Date.now() - Math.round(since.ms))}`;
    const rows = await session.query<BatchRow>(
      `SELECT * FROM syncline.batch WHERE ${whereLink(ref)}${recent} ORDER BY id DESC LIMIT $1`,
      [since.limit],
    );
    return rows.map(batchOf);
  });
}

function batchOf(row: BatchRow): BatchLine {
  const { code } = row;
  return {
    id: Number(row.id),
    from: row.from_position,
    to: row.to_position,
    transactions: Number(row.transactions),
    changes: Number(row.changes),
    bytes: Number(row.bytes),
    startedAtMs: Number(row.started_at),
    finishedAtMs: Number(row.finished_at),
    lagP50Ms: row.lag_p50_ms,
    lagP99Ms: row.lag_p99_ms,
    lagMaxMs: row.lag_max_ms,
    lagging: Number(row.lagging),
    state: row.state,
    code: code === null ? null : isErrorCode(code) ? code : 'internal.unexpected',
  };
}
