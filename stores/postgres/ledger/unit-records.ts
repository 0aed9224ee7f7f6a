import { isErrorCode } from '../../../definitions/errors.ts';
import type { ListRecords, UnitRecord } from '../../spi/load-ledger.ts';
import type { Sessions } from '../connection.ts';
import { hasLedger } from './schema.ts';

const statement = `
SELECT u.ordinal, u.kind, u.chunk, u.slice, u.bytes AS planned, l.rows, l.bytes, d.code, d.message,
  pg_catalog.to_char(l.committed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS committed_at
FROM syncline.unit u
LEFT JOIN syncline.ledger l USING (job, load, chunk, slice)
LEFT JOIN syncline.dead_letter d USING (job, load, ordinal)
WHERE u.job = $1 AND u.load = $2 AND u.ordinal > $3 AND (NOT $5 OR d.ordinal IS NOT NULL)
ORDER BY u.ordinal LIMIT $4`;

interface RecordRow {
  readonly ordinal: string;
  readonly kind: UnitRecord['kind'];
  readonly chunk: string;
  readonly slice: number;
  readonly planned: string;
  readonly rows: string | null;
  readonly bytes: string | null;
  readonly code: string | null;
  readonly message: string | null;
  readonly committed_at: string | null;
}

export async function listRecords(
  sessions: Sessions,
  { ref, after, limit, onlySkipped }: ListRecords,
): Promise<readonly UnitRecord[]> {
  return await sessions.use(`${ref.job}/chunks`, async (session) => {
    if (!(await hasLedger(session))) return [];
    const rows = await session.query<RecordRow>(statement, [ref.job, ref.load, after, limit, onlySkipped]);
    return rows.map(recordOf);
  });
}

function recordOf(row: RecordRow): UnitRecord {
  const state = row.code !== null ? 'skipped' : row.rows !== null ? 'done' : 'pending';
  return {
    ordinal: Number(row.ordinal),
    kind: row.kind,
    chunk: row.chunk,
    slice: row.slice,
    state,
    rows: row.rows === null ? null : Number(row.rows),
    bytes: Number(row.bytes ?? row.planned),
    committedAt: row.committed_at,
    code: row.code !== null && isErrorCode(row.code) ? row.code : null,
    message: row.message,
  };
}
