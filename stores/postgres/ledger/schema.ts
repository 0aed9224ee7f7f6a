import { SynclineError } from '../../../definitions/errors.ts';
import type { Session, Sessions } from '../connection.ts';

/**
 * The ledger's own schema on the target. What it says is the truth about a load; workflow state is only the story.
 * `ledger` is public: its columns are documented and stay.
 */
const statements = `
CREATE SCHEMA IF NOT EXISTS syncline;
CREATE TABLE IF NOT EXISTS syncline.load (
  job text NOT NULL, load text NOT NULL, run text NOT NULL, source_store text NOT NULL, target_store text NOT NULL,
  tables jsonb NOT NULL, units bigint NOT NULL, chunks bigint NOT NULL, bytes bigint NOT NULL,
  created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(), PRIMARY KEY (job, load));
CREATE TABLE IF NOT EXISTS syncline.unit (
  job text NOT NULL, load text NOT NULL, ordinal bigint NOT NULL, first_of_chunk bigint NOT NULL, kind text NOT NULL,
  chunk text NOT NULL, slice int NOT NULL, table_ordinal int NOT NULL, source_leaf jsonb NOT NULL,
  target_leaf jsonb NOT NULL, range jsonb, bound text, bytes bigint NOT NULL, PRIMARY KEY (job, load, ordinal));
CREATE TABLE IF NOT EXISTS syncline.ledger (
  job text NOT NULL, load text NOT NULL, chunk text NOT NULL, slice int NOT NULL, run text NOT NULL,
  attempt int NOT NULL, rows bigint NOT NULL, bytes bigint NOT NULL, digest text, snapshot text NOT NULL,
  insert_lsn pg_lsn NOT NULL, system_id text NOT NULL, timeline int NOT NULL,
  committed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(), PRIMARY KEY (job, load, chunk, slice));
CREATE TABLE IF NOT EXISTS syncline.dead_letter (
  job text NOT NULL, load text NOT NULL, ordinal bigint NOT NULL, chunk text NOT NULL, code text NOT NULL,
  message text NOT NULL, set_aside_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  PRIMARY KEY (job, load, ordinal));
CREATE TABLE IF NOT EXISTS syncline.watermark (
  job text NOT NULL PRIMARY KEY, reached text NOT NULL, load text NOT NULL,
  moved_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp());
`;

/** Two workers may come here at once; IF NOT EXISTS alone would let one of them fail on a unique index. */
const schemaLock = "pg_catalog.hashtextextended('syncline.schema', 0)";

const known = new WeakSet<Sessions>();

/** For every unit: once seen is enough, since a unit is loaded by a plan that is there. */
export async function expectLedger(sessions: Sessions): Promise<void> {
  if (!known.has(sessions)) await ensureLedger(sessions);
}

/** Creates what is missing; looks each time, because another worker may have dropped it with its last job. */
export async function ensureLedger(sessions: Sessions): Promise<void> {
  await sessions.use('ledger', async (session) => {
    if (!(await hasLedger(session))) {
      await session.query(
        `BEGIN; SELECT pg_catalog.pg_advisory_xact_lock(${schemaLock}); ${statements} COMMIT;`,
      );
    }
  });
  known.add(sessions);
}

/** Whether the ledger is there; `plan` and `status` must not create it. */
export async function hasLedger(session: Session): Promise<boolean> {
  const rows = await session.query<{ there: boolean }>(
    `SELECT pg_catalog.to_regclass('syncline.watermark') IS NOT NULL AS there`,
  );
  return rows[0]?.there === true;
}

/**
 * After `remove` of the last job: nothing of ours stays. Answers whether the schema went. The locks come before the
 * look: otherwise DROP would wait for another job that writes its plan just now, and take that plan with it.
 */
export async function dropLedgerIfEmpty(session: Session): Promise<boolean> {
  try {
    await session.query(
      `BEGIN; SELECT pg_catalog.pg_advisory_xact_lock(${schemaLock}); SET LOCAL lock_timeout = '1s';
       LOCK TABLE syncline.load, syncline.unit, syncline.ledger, syncline.watermark IN ACCESS EXCLUSIVE MODE`,
    );
  } catch (error) {
    await session.query('ROLLBACK');
    if (error instanceof SynclineError && error.code === 'store.lockTimeout') return false;
    throw error;
  }
  const rows = await session.query<{ used: boolean }>(
    `SELECT EXISTS (SELECT FROM syncline.load) OR EXISTS (SELECT FROM syncline.ledger)
        OR EXISTS (SELECT FROM syncline.watermark)
        OR (SELECT pg_catalog.count(*) FROM pg_catalog.pg_class
             WHERE relnamespace = 'syncline'::regnamespace AND relkind IN ('r', 'p')) > 5 AS used`,
  );
  const empty = rows[0]?.used === false;
  if (empty) await session.query('DROP SCHEMA syncline CASCADE');
  await session.query('COMMIT');
  return empty;
}

export function forgetLedgerIsThere(sessions: Sessions): void {
  known.delete(sessions);
}
