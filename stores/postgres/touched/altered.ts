import { displayName } from '../../spi/tables.ts';
import type { AskAltered } from '../../spi/touched-rows.ts';
import type { Sessions } from '../connection.ts';
import { parseSnapshot, type Snapshot } from '../load/snapshots.ts';

/**
 * The newest transaction that wrote a row about each leaf into the catalogue (`pg_class`, `pg_attribute`). TRUNCATE, a
 * rewrite, another table under the name and a changed column all write one; VACUUM and ANALYZE change theirs in place. Ids
 * of 32 bits are taken for those of the last 2^32 transactions: an older one may look new, and then a leaf is read again.
 */
const newestStatement = `
WITH present AS (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::numeric AS xmax),
asked AS (SELECT * FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS a(schema, name, number)),
written AS (
  SELECT a.number, c.xmin FROM asked a JOIN pg_namespace n ON n.nspname = a.schema
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = a.name
  UNION ALL
  SELECT a.number, f.xmin FROM asked a JOIN pg_namespace n ON n.nspname = a.schema
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = a.name
    JOIN pg_attribute f ON f.attrelid = c.oid AND f.attnum > 0)
SELECT w.number::int AS number, (CASE WHEN low > xmax THEN low - 4294967296 ELSE low END)::text AS xid
  FROM written w CROSS JOIN present
  CROSS JOIN LATERAL (SELECT w.xmin::text::numeric + xmax - mod(xmax, 4294967296) AS low) AS l`;

interface Written {
  /** From 1. */
  readonly number: number;
  readonly xid: string;
}

/** One that is not there any more has changed. */
export async function alteredLeaves(
  sessions: Sessions,
  { job, leaves, since }: AskAltered,
): Promise<ReadonlySet<string>> {
  const snapshot = parseSnapshot(since.snapshot);
  const written = await sessions.use(`${job}/cut`, (session) =>
    session.query<Written>(newestStatement, [
      leaves.map(({ schema }) => schema),
      leaves.map(({ name }) => name),
    ]),
  );
  const found = new Set(written.map(({ number }) => number));
  const late = new Set(
    written
      .filter(({ xid }) => snapshot === null || !sees(snapshot, BigInt(xid)))
      .map(({ number }) => number),
  );
  const isAltered = (_: unknown, index: number): boolean => !found.has(index + 1) || late.has(index + 1);
  return new Set(leaves.filter(isAltered).map(displayName));
}

function sees({ xmin, xmax, running }: Snapshot, xid: bigint): boolean {
  return xid < xmin || (xid < xmax && !running.has(xid));
}
