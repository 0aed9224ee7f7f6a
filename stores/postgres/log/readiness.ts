import type { PreflightFinding } from '../../../definitions/contracts/copy.ts';
import type { LogReadiness } from '../../spi/log.ts';
import { displayName, type TableName } from '../../spi/tables.ts';
import type { Session, Sessions } from '../connection.ts';

/** What a server and its tables need before their log can be followed; one finding for each thing that is missing. */
export async function checkReadiness(sessions: Sessions, request: LogReadiness): Promise<PreflightFinding[]> {
  return await sessions.use(`${request.address.job}/preflight`, async (session) => {
    const facts = await readFacts(session, request);
    return [...serverFindings(facts, sessions.store), ...(await tableFindings(session, request))];
  });
}

interface ServerFacts {
  readonly user: string;
  readonly database: string;
  readonly walLevel: string;
  readonly standby: boolean;
  readonly mayReplicate: boolean;
  readonly mayPublish: boolean;
  readonly freeSlots: number;
  readonly freeSenders: number;
  readonly hasSlot: boolean;
  readonly keepSize: string;
}

async function readFacts(session: Session, { address }: LogReadiness): Promise<ServerFacts> {
  const [facts] = await session.query<ServerFacts>(
    `SELECT current_user AS user, current_database() AS database, current_setting('wal_level') AS "walLevel",
            pg_is_in_recovery() AS standby,
            (SELECT rolsuper OR rolreplication FROM pg_roles WHERE rolname = current_user) AS "mayReplicate",
            has_database_privilege(current_database(), 'CREATE') AS "mayPublish",
            current_setting('max_replication_slots')::int - (SELECT count(*) FROM pg_replication_slots)::int AS "freeSlots",
            current_setting('max_wal_senders')::int - (SELECT count(*) FROM pg_stat_replication)::int AS "freeSenders",
            EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1) AS "hasSlot",
            current_setting('max_slot_wal_keep_size') AS "keepSize"`,
    [address.slot],
  );
  if (facts === undefined) throw new Error('SELECT without FROM gives one row');
  return facts;
}

function serverFindings(facts: ServerFacts, store: string): PreflightFinding[] {
  const findings: PreflightFinding[] = [];
  const say = (severity: PreflightFinding['severity'], message: string, cure: string): void =>
    void findings.push({ severity, code: 'log.notReady', table: null, message, cure });
  if (facts.standby)
    say('error', `Store ${store} is a standby: no chunk can be loaded there for a log.`, 'Name the primary.');
  if (facts.walLevel !== 'logical') {
    const cure = "ALTER SYSTEM SET wal_level = 'logical'; then restart the server.";
    say('error', `Store ${store} has wal_level = ${facts.walLevel}; its log holds no rows.`, cure);
  }
  if (!facts.mayReplicate)
    say('error', `Role ${facts.user} may not replicate.`, `ALTER ROLE ${facts.user} REPLICATION.`);
  if (!facts.mayPublish) {
    const cure = `GRANT CREATE ON DATABASE ${facts.database} TO ${facts.user}.`;
    say('error', `Role ${facts.user} may not create a publication in ${facts.database}.`, cure);
  }
  if (!facts.hasSlot && facts.freeSlots < 1) {
    say('error', `Store ${store} has no free replication slot.`, 'Raise max_replication_slots and restart.');
  }
  if (facts.freeSenders < 1)
    say('warning', `Store ${store} has no free WAL sender.`, 'Raise max_wal_senders and restart.');
  if (facts.keepSize === '-1') {
    const cure = "ALTER SYSTEM SET max_slot_wal_keep_size = '…' to what its disk can spare; reload.";
    const message = `Store ${store} has no max_slot_wal_keep_size: while no worker lives, nothing else bounds the log that it keeps.`;
    say('warning', message, cure);
  }
  return findings;
}

interface LeafRow {
  readonly kind: 'r' | 'p';
  readonly schema: string;
  readonly name: string;
  readonly unlogged: boolean;
  readonly owned: boolean;
  /** pg_class.relreplident. */
  readonly identity: 'd' | 'n' | 'f' | 'i';
  readonly primary: boolean;
  /** An index that could identify rows. */
  readonly index: string | null;
}

/** The tables named and every leaf below; an index that could be an identity is unique, whole, immediate, not null. */
const leavesQuery = `
WITH RECURSIVE tree(root, oid) AS (
  SELECT c.oid, c.oid FROM unnest($1::text[]) AS asked(name) JOIN pg_class c ON c.oid = to_regclass(asked.name)
  UNION SELECT t.root, i.inhrelid FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid)
SELECT c.relkind AS kind, n.nspname AS schema, c.relname AS name,
  c.relpersistence = 'u' AS unlogged, pg_has_role(c.relowner, 'USAGE') AS owned, c.relreplident AS identity,
  EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND i.indisvalid) AS primary,
  (SELECT i.indexrelid::regclass::text FROM pg_index i
    WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
      AND NOT EXISTS (SELECT FROM unnest(i.indkey::int2[]) AS k(attnum) JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
                       WHERE NOT a.attnotnull)
    ORDER BY i.indnkeyatts LIMIT 1) AS index
FROM tree t JOIN pg_class c ON c.oid = t.oid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' OR (c.relkind = 'p' AND c.oid = t.root) ORDER BY 2, 3`;

async function tableFindings(session: Session, request: LogReadiness): Promise<PreflightFinding[]> {
  const names = request.tables.map(({ table }) => quoted(table));
  const rows = await session.query<LeafRow>(leavesQuery, [names]);
  const insertsOnly = new Set(
    request.tables.filter((table) => table.insertsOnly).map(({ table }) => displayName(table)),
  );
  return rows.flatMap((row) => leafFindings(row, insertsOnly));
}

function leafFindings(row: LeafRow, insertsOnly: ReadonlySet<string>): PreflightFinding[] {
  const table = displayName(row);
  const findings: PreflightFinding[] = [];
  const say = (severity: PreflightFinding['severity'], message: string, cure: string): void =>
    void findings.push({ severity, code: 'log.notReady', table, message, cure });
  if (!row.owned)
    say('error', `The role of the store does not own ${table}, so it cannot publish it.`, 'Use the owner.');
  if (row.unlogged)
    say('error', `${table} is unlogged: its changes are in no log.`, `ALTER TABLE ${table} SET LOGGED.`);
  if (isIdentified(row) || insertsOnly.has(table)) return findings;
  if (row.kind === 'p') {
    const message = `New partitions of ${table} come without a replica identity, and then their UPDATE and DELETE fail.`;
    say(
      'warning',
      message,
      `Add a primary key to ${table}, or set the identity of each partition as it is made.`,
    );
    return findings;
  }
  const cure =
    row.index === null
      ? `ALTER TABLE ${table} REPLICA IDENTITY FULL, or add a primary key, or set \`log.keyless: insertsOnly\`.`
      : `ALTER TABLE ${table} REPLICA IDENTITY USING INDEX ${row.index}.`;
  say(
    'error',
    `${table} has no replica identity: publishing it would make its UPDATE and DELETE fail.`,
    cure,
  );
  return findings;
}

/** A partitioned root holds no rows: what counts is each leaf, also one that is made later. */
function isIdentified({ identity, primary }: LeafRow): boolean {
  return identity === 'f' || identity === 'i' || (identity === 'd' && primary);
}

function quoted({ schema, name }: TableName): string {
  return [schema, name].map((part) => `"${part.replaceAll('"', '""')}"`).join('.');
}

/** Which server this is, and which of its histories is being written. */
export async function readIdentity(
  sessions: Sessions,
  job: string,
): Promise<{ readonly systemId: string; readonly timeline: number }> {
  return await sessions.use(`${job}/log`, async (session) => {
    const [row] = await session.query<{ systemId: string; timeline: number }>(
      `SELECT system_identifier::text AS "systemId",
              ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int AS timeline
         FROM pg_control_system()`,
    );
    if (row === undefined) throw new Error('pg_control_system gives one row');
    return row;
  });
}
