import type { PreflightFinding } from '../../../definitions/contracts/copy.ts';
import type { ErrorCode } from '../../../definitions/errors.ts';
import type { TableName } from '../../spi/tables.ts';
import type { Session } from '../connection.ts';
import { displayName } from '../identifiers.ts';
import { serverVersion } from './describe.ts';
import { findRelations, type Relation } from './relations.ts';

export interface RoleCheck {
  readonly role: 'source' | 'target';
  readonly names: readonly TableName[];
  readonly store: string;
}

interface ServerFacts {
  readonly user: string;
  readonly database: string;
  readonly inRecovery: boolean;
  readonly readOnly: boolean;
  readonly freeConnections: number;
  readonly mayCreateSchema: boolean;
  readonly mayCreateTemporary: boolean;
  /** Null where schema `syncline` does not exist yet. */
  readonly mayUseLedger: boolean | null;
  readonly mayQuietTriggers: boolean;
}

type Severity = PreflightFinding['severity'];

/** Everything a side needs to play its role; one finding for each thing that is missing. */
export async function checkRole(session: Session, check: RoleCheck): Promise<PreflightFinding[]> {
  const version = await serverVersion(session);
  const lowest = check.role === 'source' ? 14 : 15;
  if (version < lowest * 10_000) {
    const message = `Store ${check.store} runs PostgreSQL ${Math.floor(version / 10_000)}; as ${check.role} it must be ${lowest} or later.`;
    return [found('error', 'store.unsupported', { message })];
  }
  const facts = await readFacts(session, version);
  const relations = await findRelations(session, check.names);
  const present = relations.filter((relation) => relation !== null);
  const missing = check.names.filter((_, index) => relations[index] === null);
  const findings =
    check.role === 'source'
      ? [...checkSource(check, facts), ...(await checkReading(session, present, facts))]
      : [
          ...checkTarget(check, facts),
          ...(await checkWriting(session, present, facts)),
          ...(await checkCreating(session, missing, facts)),
        ];
  return [...findings, ...checkConnections(check, facts)];
}

async function readFacts(session: Session, version: number): Promise<ServerFacts> {
  const quiet = version >= 150_000 ? "has_parameter_privilege('session_replication_role', 'SET')" : 'false';
  const [facts] = await session.query<ServerFacts>(`
    SELECT current_user AS user, current_database() AS database, pg_is_in_recovery() AS "inRecovery",
           (SELECT reset_val = 'on' FROM pg_settings WHERE name = 'default_transaction_read_only') AS "readOnly",
           current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
             - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::int AS "freeConnections",
           has_database_privilege(current_database(), 'CREATE') AS "mayCreateSchema",
           has_database_privilege(current_database(), 'TEMPORARY') AS "mayCreateTemporary",
           (SELECT has_schema_privilege(oid, 'USAGE, CREATE') FROM pg_namespace WHERE nspname = 'syncline')
             AS "mayUseLedger",
           (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) OR ${quiet} AS "mayQuietTriggers"`);
  if (facts === undefined) throw new Error('SELECT without FROM gives one row');
  return facts;
}

function checkSource(check: RoleCheck, facts: ServerFacts): PreflightFinding[] {
  if (!facts.inRecovery) return [];
  const message = `Store ${check.store} is a standby: right for a copy, but no log can follow what is loaded from it.`;
  return [found('warning', null, { message })];
}

function checkTarget(check: RoleCheck, facts: ServerFacts): PreflightFinding[] {
  const findings: PreflightFinding[] = [];
  if (facts.inRecovery) {
    findings.push(
      found('error', 'store.unsupported', {
        message: `Store ${check.store} is a standby and takes no writes.`,
        cure: 'Name the primary server in the store.',
      }),
    );
  }
  if (facts.readOnly) {
    const message = `Sessions of store ${check.store} are read-only by default (default_transaction_read_only); ours are not.`;
    findings.push(found('warning', null, { message }));
  }
  if (facts.mayUseLedger === false || (facts.mayUseLedger === null && !facts.mayCreateSchema)) {
    const message = `Role ${facts.user} may not keep the ledger in schema syncline of store ${check.store}.`;
    const cure = `GRANT CREATE ON DATABASE ${facts.database} TO ${facts.user}; or CREATE SCHEMA syncline AUTHORIZATION ${facts.user}.`;
    findings.push(found('error', 'store.permission', { message, cure }));
  }
  if (!facts.mayCreateTemporary) {
    const message = `Role ${facts.user} may not create temporary tables, which every way but whole and sliced replacing needs.`;
    const cure = `GRANT TEMPORARY ON DATABASE ${facts.database} TO ${facts.user}.`;
    findings.push(found('warning', 'store.permission', { message, cure }));
  }
  if (!facts.mayQuietTriggers) {
    const message = `Role ${facts.user} may not set session_replication_role: triggers of the target tables fire.`;
    const cure = `GRANT SET ON PARAMETER session_replication_role TO ${facts.user}.`;
    findings.push(found('info', null, { message, cure }));
  }
  return findings;
}

function checkConnections(check: RoleCheck, facts: ServerFacts): PreflightFinding[] {
  if (facts.freeConnections >= 4) return [];
  const message = `Store ${check.store} has only ${Math.max(0, facts.freeConnections)} free connections.`;
  return [found('warning', 'store.tooManyConnections', { message })];
}

interface TableRights {
  readonly schema: string;
  readonly table: string;
  readonly lacking: string;
  readonly severe: boolean;
}

/** Leaves are read by their own names, so they need their own grants. */
const treeOf = `
  WITH RECURSIVE tree(oid) AS (
    SELECT unnest($1::oid[]) UNION SELECT i.inhrelid FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid)
  SELECT c.*, n.nspname FROM tree t JOIN pg_class c ON c.oid = t.oid JOIN pg_namespace n ON n.oid = c.relnamespace`;

async function checkReading(
  session: Session,
  tables: readonly Relation[],
  facts: ServerFacts,
): Promise<PreflightFinding[]> {
  const rows = await session.query<TableRights>(
    `SELECT nspname AS schema, relname AS table, lacking, true AS severe FROM (${treeOf}) c
      CROSS JOIN LATERAL (SELECT CASE
        WHEN NOT has_schema_privilege(c.relnamespace, 'USAGE') THEN 'USAGE on its schema'
        WHEN NOT has_any_column_privilege(c.oid, 'SELECT') AND c.relnatts > 0 THEN 'SELECT'
        WHEN row_security_active(c.oid) THEN 'rows'
        WHEN c.relkind = 'f' THEN 'foreign' END AS lacking) r
      WHERE lacking IS NOT NULL ORDER BY 1, 2`,
    [tables.map((table) => table.oid)],
  );
  return [
    ...rightsFindings(
      rows.filter((row) => !['rows', 'foreign'].includes(row.lacking)),
      facts,
    ),
    ...policyFindings(rows, facts),
    ...rows
      .filter((row) => row.lacking === 'foreign')
      .map((row) =>
        found('error', 'store.unsupported', {
          message: `Partition ${nameOf(row)} is a foreign table; its rows live elsewhere.`,
          table: nameOf(row),
          cure: 'Name the other partitions under `source.tables`, one by one or by a pattern.',
        }),
      ),
  ];
}

async function checkWriting(
  session: Session,
  tables: readonly Relation[],
  facts: ServerFacts,
): Promise<PreflightFinding[]> {
  const rows = await session.query<TableRights>(
    `SELECT nspname AS schema, relname AS table, lacking, severe FROM (${treeOf}) c
      CROSS JOIN LATERAL (
        SELECT 'USAGE on its schema', true WHERE NOT has_schema_privilege(c.relnamespace, 'USAGE')
        UNION ALL SELECT 'rows', true WHERE row_security_active(c.oid)
        UNION ALL SELECT 'INSERT', true WHERE NOT has_table_privilege(c.oid, 'INSERT')
        UNION ALL SELECT 'SELECT', true WHERE NOT has_table_privilege(c.oid, 'SELECT')
        UNION ALL SELECT 'UPDATE', false WHERE NOT has_table_privilege(c.oid, 'UPDATE')
        UNION ALL SELECT 'DELETE', false WHERE NOT has_table_privilege(c.oid, 'DELETE')
        UNION ALL SELECT 'TRUNCATE', false WHERE NOT has_table_privilege(c.oid, 'TRUNCATE')
      ) AS r(lacking, severe) ORDER BY 1, 2`,
    [tables.map((table) => table.oid)],
  );
  const rights = rows.filter((row) => row.lacking !== 'rows');
  return [...rightsFindings(rights, facts), ...policyFindings(rows, facts)];
}

/** On the target too: a policy decides what may be written, and hides rows that must be compared or removed. */
function policyFindings(rows: readonly TableRights[], facts: ServerFacts): PreflightFinding[] {
  return rows
    .filter((row) => row.lacking === 'rows')
    .map((row) =>
      found('error', 'source.rowSecurity', {
        message: `A row policy of ${nameOf(row)} hides rows from role ${facts.user}.`,
        table: nameOf(row),
        cure: `ALTER ROLE ${facts.user} BYPASSRLS, or use the owner without FORCE ROW LEVEL SECURITY.`,
      }),
    );
}

async function checkCreating(
  session: Session,
  names: readonly TableName[],
  facts: ServerFacts,
): Promise<PreflightFinding[]> {
  const schemas = [...new Set(names.map((name) => name.schema))];
  const rows = await session.query<{ readonly schema: string; readonly may: boolean | null }>(
    `SELECT asked.schema, has_schema_privilege(n.oid, 'CREATE') AS may
       FROM unnest($1::text[]) AS asked(schema) LEFT JOIN pg_namespace n ON n.nspname = asked.schema`,
    [schemas],
  );
  return rows
    .filter((row) => row.may === false || (row.may === null && !facts.mayCreateSchema))
    .map((row) => {
      const what = row.may === null ? `database ${facts.database}` : `schema ${row.schema}`;
      return found('error', 'store.permission', {
        message: `Role ${facts.user} may not create tables in ${what}.`,
        cure: `GRANT CREATE ON ${what.toUpperCase().split(' ')[0] ?? ''} ${what.split(' ').slice(1).join(' ')} TO ${facts.user}.`,
      });
    });
}

/** One finding a right, naming the first tables that lack it. */
function rightsFindings(rows: readonly TableRights[], facts: ServerFacts): PreflightFinding[] {
  const rights = [...new Set(rows.map((row) => row.lacking))];
  return rights.map((lacking) => {
    const tables = rows.filter((row) => row.lacking === lacking);
    const severe = tables.some((row) => row.severe);
    const names = tables.slice(0, 3).map(nameOf).join(', ');
    const more = tables.length > 3 ? ` and ${tables.length - 3} more` : '';
    const use = severe ? '' : ' (needed by some ways of `replace` and `upsert`)';
    return found(severe ? 'error' : 'warning', 'store.permission', {
      message: `Role ${facts.user} lacks ${lacking} on ${names}${more}${use}.`,
      ...(tables.length === 1 ? { table: names } : {}),
      cure: `GRANT ${lacking} … TO ${facts.user}.`,
    });
  });
}

function nameOf(row: TableRights): string {
  return displayName({ schema: row.schema, name: row.table });
}

interface Said {
  readonly message: string;
  readonly table?: string;
  readonly cure?: string;
}

function found(severity: Severity, code: ErrorCode | null, said: Said): PreflightFinding {
  return { severity, code, table: said.table ?? null, message: said.message, cure: said.cure ?? null };
}
