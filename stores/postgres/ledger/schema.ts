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

/** What a link keeps on its target; every row speaks of one link, by job and target store. */
const linkStatements = `
CREATE TABLE IF NOT EXISTS syncline.link (
  job text NOT NULL, target text NOT NULL, slot text NOT NULL, publication text NOT NULL, system_id text NOT NULL,
  timeline int NOT NULL, generation int NOT NULL, position text NOT NULL, consistent_at text,
  created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(), applied_commit_at bigint,
  transactions bigint NOT NULL DEFAULT 0, changes bigint NOT NULL DEFAULT 0, applied bigint NOT NULL DEFAULT 0,
  filtered bigint NOT NULL DEFAULT 0, dead_transactions bigint NOT NULL DEFAULT 0, bytes bigint NOT NULL DEFAULT 0,
  conflicts bigint NOT NULL DEFAULT 0, spooled_changes bigint NOT NULL DEFAULT 0,
  spooled_bytes bigint NOT NULL DEFAULT 0, batches bigint NOT NULL DEFAULT 0, PRIMARY KEY (job, target));
CREATE TABLE IF NOT EXISTS syncline.lane (
  job text NOT NULL, target text NOT NULL, lane int NOT NULL, position text NOT NULL, lanes int NOT NULL,
  keys_as text, solo boolean NOT NULL DEFAULT false, PRIMARY KEY (job, target, lane));
CREATE TABLE IF NOT EXISTS syncline.link_table (
  job text NOT NULL, target text NOT NULL, name text NOT NULL, state text NOT NULL, code text, message text,
  since timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(), attempts int NOT NULL,
  PRIMARY KEY (job, target, name));
CREATE TABLE IF NOT EXISTS syncline.spool_relation (
  job text NOT NULL, target text NOT NULL, id int NOT NULL, shape jsonb NOT NULL, PRIMARY KEY (job, target, id));
CREATE TABLE IF NOT EXISTS syncline.spool (
  job text NOT NULL, target text NOT NULL, leaf text NOT NULL, seq bigint NOT NULL, reason text NOT NULL,
  relation int NOT NULL, xid bigint NOT NULL, position text NOT NULL, committed_at bigint NOT NULL, kind text NOT NULL,
  old bytea, new bytea, ranges text, bytes bigint NOT NULL, PRIMARY KEY (job, target, leaf, seq));
CREATE TABLE IF NOT EXISTS syncline.dead_transaction (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, job text NOT NULL, target text NOT NULL, xid bigint NOT NULL,
  position text NOT NULL, committed_at bigint NOT NULL, tables text[] NOT NULL, changes bigint NOT NULL,
  code text NOT NULL, message text NOT NULL,
  set_aside_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(), UNIQUE (job, target, position));
CREATE TABLE IF NOT EXISTS syncline.dead_change (
  job text NOT NULL, target text NOT NULL, transaction bigint NOT NULL, seq bigint NOT NULL, relation int NOT NULL,
  kind text NOT NULL, old bytea, new bytea, ranges text, PRIMARY KEY (transaction, seq));
CREATE TABLE IF NOT EXISTS syncline.batch (
  job text NOT NULL, target text NOT NULL, id bigint NOT NULL, started_at bigint NOT NULL,
  finished_at bigint NOT NULL, from_position text NOT NULL, to_position text NOT NULL, transactions bigint NOT NULL,
  changes bigint NOT NULL, bytes bigint NOT NULL, lag_p50_ms double precision NOT NULL,
  lag_p99_ms double precision NOT NULL, lag_max_ms double precision NOT NULL, lagging bigint NOT NULL,
  state text NOT NULL, code text, PRIMARY KEY (job, target, id));
`;

/**
 * What the tables above are, as a number that grows with every change of them; a program leaves alone what it does not know.
 * The first version (without links) and the second wrote none.
 */
const ledgerVersion = 3;
const versionStatements = `
CREATE TABLE IF NOT EXISTS syncline.version (number int NOT NULL);
INSERT INTO syncline.version SELECT ${String(ledgerVersion)} WHERE NOT EXISTS (SELECT FROM syncline.version);
UPDATE syncline.version SET number = ${String(ledgerVersion)} WHERE number < ${String(ledgerVersion)};
`;

const loadTables = ['load', 'unit', 'ledger', 'dead_letter', 'watermark'];
const linkTables = [
  'link',
  'lane',
  'link_table',
  'spool_relation',
  'spool',
  'dead_transaction',
  'dead_change',
  'batch',
];
/** Of what links keep, what is made last. */
const lastOfLinks = 'batch';

/** Two workers may come here at once; IF NOT EXISTS alone would let one of them fail on a unique index. */
const schemaLock = "pg_catalog.hashtextextended('syncline.schema', 0)";

const known = new WeakSet<Sessions>();

/** For every unit: once seen is enough, since a unit is loaded by a plan that is there. */
export async function expectLedger(sessions: Sessions): Promise<void> {
  if (!known.has(sessions)) await ensureLedger(sessions);
}

/**
 * Creates what is missing; looks each time, because another worker may have dropped it with its last job. Throws
 * `target.newerLedger`.
 */
export async function ensureLedger(sessions: Sessions): Promise<void> {
  await sessions.use('ledger', async (session) => {
    const found = await versionOf(session);
    if (found === ledgerVersion) return;
    if (found < ledgerVersion) {
      const all = `${statements} ${linkStatements} ${versionStatements}`;
      await session.query(`BEGIN; SELECT pg_catalog.pg_advisory_xact_lock(${schemaLock}); ${all} COMMIT;`);
    }
    // A newer program may have been at it at the same time.
    const now = await versionOf(session);
    if (now > ledgerVersion) throw newerLedger(sessions.store, now);
  });
  known.add(sessions);
}

/** 0: it is not there, or says none. */
async function versionOf(session: Session): Promise<number> {
  if (!(await hasTable(session, 'version'))) return 0;
  const rows = await session.query<{ number: number }>(
    'SELECT max(number)::int AS number FROM syncline.version',
  );
  return rows[0]?.number ?? 0;
}

function newerLedger(store: string, version: number): SynclineError {
  return new SynclineError(
    'target.newerLedger',
    `The ledger on store ${store} is of version ${String(version)}, made by a newer syncline; this one knows version ${String(ledgerVersion)}.`,
    { details: { store } },
  );
}

/** Whether the ledger is there; `plan` and `status` must not create it. */
export async function hasLedger(session: Session): Promise<boolean> {
  return await hasTable(session, 'watermark');
}

/** The same of what links keep: a ledger of an older version lacks it. */
export async function hasLinks(session: Session): Promise<boolean> {
  return await hasTable(session, lastOfLinks);
}

async function hasTable(session: Session, name: string): Promise<boolean> {
  const rows = await session.query<{ there: boolean }>(
    `SELECT pg_catalog.to_regclass('syncline.${name}') IS NOT NULL AS there`,
  );
  return rows[0]?.there === true;
}

/**
 * After `remove` of the last job: nothing of ours stays. Answers whether the schema went. The locks come before the
 * look: otherwise DROP would wait for another job that writes its plan just now, and take that plan with it.
 */
export async function dropLedgerIfEmpty(session: Session): Promise<boolean> {
  await session.query(`BEGIN; SELECT pg_catalog.pg_advisory_xact_lock(${schemaLock})`);
  if (!(await hasLedger(session))) {
    await session.query('COMMIT');
    return true;
  }
  const ours = [
    ...loadTables,
    ...((await hasLinks(session)) ? linkTables : []),
    ...((await hasTable(session, 'version')) ? ['version'] : []),
  ];
  try {
    await session.query(
      `SET LOCAL lock_timeout = '1s';
       LOCK TABLE ${ours.map((table) => `syncline.${table}`).join(', ')} IN ACCESS EXCLUSIVE MODE`,
    );
  } catch (error) {
    await session.query('ROLLBACK');
    if (error instanceof SynclineError && error.code === 'store.lockTimeout') return false;
    throw error;
  }
  const holding = ours.filter((table) => ['load', 'ledger', 'watermark', 'link'].includes(table));
  const rows = await session.query<{ used: boolean }>(
    `SELECT ${holding.map((table) => `EXISTS (SELECT FROM syncline.${table})`).join(' OR ')}
        OR EXISTS (SELECT FROM pg_catalog.pg_class
             WHERE relnamespace = 'syncline'::regnamespace AND relkind IN ('r', 'p')
               AND relname <> ALL ('{${ours.join(',')}}')) AS used`,
  );
  const empty = rows[0]?.used === false;
  if (empty) await session.query('DROP SCHEMA syncline CASCADE');
  await session.query('COMMIT');
  return empty;
}

export function forgetLedgerIsThere(sessions: Sessions): void {
  known.delete(sessions);
}
