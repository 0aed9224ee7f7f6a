import { SynclineError } from '../../../definitions/errors.ts';
import type { TableName, TableScript } from '../../spi/tables.ts';
import type { Session } from '../connection.ts';
import { serverVersion } from '../catalog/describe.ts';
import { displayName, quoteName } from '../identifiers.ts';
import { forServer, readStatement, tableOf } from './statements.ts';

/** Every new table holds locks until commit, and the lock table is finite: more than this go in several transactions. */
const tablesPerTransaction = 400;

interface TableStatements {
  readonly table: string;
  readonly statements: string[];
}

/**
 * Runs `before` and `shape` of a script, all that belongs to a table together, in one transaction (very many
 * partitions: several, each of them complete). Tables that are there stay as they are. Two callers take turns.
 */
export async function runScript(session: Session, script: TableScript): Promise<void> {
  const common: string[] = [];
  const tables = new Map<string, TableStatements>();
  for (const statement of [...script.before, ...script.shape].map(readStatement)) {
    if (statement.table === null) common.push(statement.text);
    else {
      const known = tables.get(statement.table) ?? { table: statement.table, statements: [] };
      known.statements.push(statement.text);
      tables.set(statement.table, known);
    }
  }
  const all = [...tables.values()];
  const version = await serverVersion(session);
  for (let first = 0; first === 0 || first < all.length; first += tablesPerTransaction) {
    const some = all.slice(first, first + tablesPerTransaction);
    await inTransaction(session, script, async () => {
      const missing = await missingOf(session, some);
      if (missing.length === 0) return;
      for (const statement of common) await session.query(statement);
      for (const { table, statements } of missing)
        for (const statement of statements)
          await make(session, tableOf(table), forServer(statement, version));
    });
  }
}

async function inTransaction(
  session: Session,
  script: TableScript,
  work: () => Promise<void>,
): Promise<void> {
  await session.query('BEGIN');
  await session.query(`SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`, [
    `syncline create ${quoteName(script.table)}`,
  ]);
  await work();
  await session.query('COMMIT');
}

const invalidObjectDefinition = '42P17';

/** The server's own words stay behind, so the table is named. */
async function make(session: Session, table: TableName, statement: string): Promise<void> {
  try {
    await session.query(statement);
  } catch (error) {
    if (!(error instanceof SynclineError) || error.code !== 'store.statement') throw error;
    const name = displayName(table);
    const options = { details: { ...error.details, table: name }, cause: error };
    // Of a partition the server refuses so only bounds that overlap those of another.
    const isOverlap =
      error.details.sqlState === invalidObjectDefinition && statement.includes(' PARTITION OF ');
    if (!isOverlap)
      throw new SynclineError('store.statement', `Table ${name} cannot be made. ${error.message}`, options);
    const why = 'its bounds overlap those of another partition on the target';
    throw new SynclineError('target.partitionMissing', `Partition ${name} cannot be made: ${why}.`, options);
  }
}

async function missingOf(session: Session, tables: readonly TableStatements[]): Promise<TableStatements[]> {
  const names = tables.map((table) => tableOf(table.table));
  const rows = await session.query<{ readonly position: number }>(
    `SELECT asked.position::int AS position
       FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS asked(schema, name, position)
       JOIN pg_namespace n ON n.nspname = asked.schema
       JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = asked.name`,
    [names.map((name) => name.schema), names.map((name) => name.name)],
  );
  const existing = new Set(rows.map((row) => row.position));
  return tables.filter((_, index) => !existing.has(index + 1));
}
