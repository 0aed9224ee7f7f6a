import type { LoadRef } from '../../../definitions/contracts/copy.ts';
import type { SkippedChunk } from '../../../definitions/contracts/status.ts';
import { type ErrorCode, isErrorCode } from '../../../definitions/errors.ts';
import type { DeadLetters, LedgerTotals, LoadLedger, Watermarks } from '../../spi/load-ledger.ts';
import type { Session, Sessions } from '../connection.ts';
import { quoteLiteral } from '../identifiers.ts';
import { queryEach } from '../query-each.ts';
import { loadedChunks } from './loaded-chunks.ts';
import { createLoadPlans } from './plans.ts';
import { listRecords } from './unit-records.ts';
import { dropLedgerIfEmpty, ensureLedger, forgetLedgerIsThere, hasLedger } from './schema.ts';

export function createLoadLedger(sessions: Sessions): LoadLedger {
  return {
    plans: createLoadPlans(sessions),
    deadLetters: createDeadLetters(sessions),
    watermarks: createWatermarks(sessions),
    totals: (ref) => totals(sessions, ref),
    records: (request) => listRecords(sessions, request),
    chunks: (job, prefix) => loadedChunks(sessions, job, prefix),
    forget: (job) => forget(sessions, job),
    forgetLoad: (ref) => forgetLoad(sessions, ref),
  };
}

/**
 * A slice's rows count once: the `finish` row of its chunk repeats them and is left out. Slices of a chunk whose
 * `finish` was set aside lie in a shadow table that nobody reads.
 */
const totalsStatement = (job: string, load: string): string => `
WITH hidden AS (
  SELECT u.chunk FROM syncline.unit u JOIN syncline.dead_letter d USING (job, load, ordinal)
   WHERE u.job = ${job} AND u.load = ${load} AND u.kind = 'finish')
SELECT count(*) AS done,
  (SELECT count(*) FROM syncline.dead_letter d WHERE d.job = ${job} AND d.load = ${load}) AS skipped,
  coalesce(sum(l.rows) FILTER (WHERE u.kind <> 'finish' AND h.chunk IS NULL), 0) AS rows,
  coalesce(sum(l.rows) FILTER (WHERE h.chunk IS NOT NULL), 0) AS hidden,
  coalesce(sum(l.bytes) FILTER (WHERE u.kind <> 'finish'), 0) AS bytes
FROM syncline.ledger l JOIN syncline.unit u USING (job, load, chunk, slice) LEFT JOIN hidden h USING (chunk)
WHERE l.job = ${job} AND l.load = ${load}`;

interface TotalsRow {
  readonly done: string;
  readonly skipped: string;
  readonly rows: string;
  readonly hidden: string;
  readonly bytes: string;
}

async function totals(sessions: Sessions, ref: LoadRef): Promise<LedgerTotals> {
  return await sessions.use(`${ref.job}/status`, async (session) => {
    const row = (await hasLedger(session)) ? await totalsRow(session, ref) : undefined;
    return {
      unitsDone: Number(row?.done ?? 0),
      unitsSkipped: Number(row?.skipped ?? 0),
      rows: Number(row?.rows ?? 0),
      rowsHidden: Number(row?.hidden ?? 0),
      bytes: Number(row?.bytes ?? 0),
    };
  });
}

/** Without statistics yet, a nested loop would look at every unit for every ledger row. */
async function totalsRow(session: Session, ref: LoadRef): Promise<TotalsRow | undefined> {
  const [job, load] = [quoteLiteral(ref.job), quoteLiteral(ref.load)];
  const [, , rows] = await queryEach(session, [
    'BEGIN READ ONLY',
    'SET LOCAL enable_nestloop = off',
    totalsStatement(job, load),
    'COMMIT',
  ]);
  return rows?.[0] as TotalsRow | undefined;
}

async function forget(sessions: Sessions, job: string): Promise<void> {
  await sessions.use(`${job}/remove`, async (session) => {
    if (!(await hasLedger(session))) return;
    await session.query('BEGIN');
    for (const table of ['load', 'unit', 'ledger', 'dead_letter', 'watermark']) {
      await session.query(`DELETE FROM syncline.${table} WHERE job = $1`, [job]);
    }
    await session.query('COMMIT');
    if (await dropLedgerIfEmpty(session)) forgetLedgerIsThere(sessions);
  });
}

async function forgetLoad(sessions: Sessions, { job, load }: LoadRef): Promise<void> {
  await sessions.use(`${job}/remove`, async (session) => {
    if (!(await hasLedger(session))) return;
    await session.query('BEGIN');
    for (const table of ['load', 'unit', 'ledger', 'dead_letter'])
      await session.query(`DELETE FROM syncline.${table} WHERE job = $1 AND load = $2`, [job, load]);
    await session.query('COMMIT');
  });
}

function createDeadLetters(sessions: Sessions): DeadLetters {
  return {
    async put(ref, failure) {
      await ensureLedger(sessions);
      await sessions.use(`${ref.job}/skip`, (session) =>
        session.query(
          `INSERT INTO syncline.dead_letter (job, load, ordinal, chunk, code, message) VALUES ($1, $2, $3, $4, $5, $6)
           ON CONFLICT (job, load, ordinal) DO UPDATE
              SET code = excluded.code, message = excluded.message, set_aside_at = pg_catalog.clock_timestamp()`,
          [ref.job, ref.load, failure.ordinal, failure.chunk, failure.code, failure.message],
        ),
      );
    },
    async clear(ref, ordinal) {
      await sessions.use(`${ref.job}/retry`, (session) =>
        session.query(`DELETE FROM syncline.dead_letter WHERE job = $1 AND load = $2 AND ordinal = $3`, [
          ref.job,
          ref.load,
          ordinal,
        ]),
      );
    },
    async list(ref, limit) {
      return await sessions.use(`${ref.job}/status`, async (session) => {
        if (!(await hasLedger(session))) return [];
        const rows = await session.query<
          Omit<SkippedChunk, 'ordinal' | 'code'> & { ordinal: string; code: string }
        >(
          `SELECT d.ordinal, d.chunk, u.slice, d.code, d.message
             FROM syncline.dead_letter d JOIN syncline.unit u USING (job, load, ordinal)
            WHERE d.job = $1 AND d.load = $2 ORDER BY d.ordinal LIMIT $3`,
          [ref.job, ref.load, limit],
        );
        return rows.map((row) => ({ ...row, ordinal: Number(row.ordinal), code: codeOf(row.code) }));
      });
    },
  };
}

function codeOf(text: string): ErrorCode {
  return isErrorCode(text) ? text : 'internal.unexpected';
}

function createWatermarks(sessions: Sessions): Watermarks {
  return {
    async get(job) {
      return await sessions.use(`${job}/status`, async (session) => {
        if (!(await hasLedger(session))) return null;
        const rows = await session.query<{ reached: string }>(
          `SELECT reached FROM syncline.watermark WHERE job = $1`,
          [job],
        );
        return rows[0]?.reached ?? null;
      });
    },
    async advance(job, to, load) {
      await ensureLedger(sessions);
      // Text of one column type: for ISO 8601 the order of the text is the order of time.
      await sessions.use(`${job}/finish`, (session) =>
        session.query(
          `INSERT INTO syncline.watermark AS w (job, reached, load) VALUES ($1, $2, $3)
           ON CONFLICT (job) DO UPDATE SET reached = excluded.reached, load = excluded.load,
              moved_at = pg_catalog.clock_timestamp()
            WHERE w.reached COLLATE "C" < excluded.reached COLLATE "C"`,
          [job, to, load],
        ),
      );
    },
  };
}
