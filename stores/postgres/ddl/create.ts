import type { TableScript } from '../../spi/tables.ts';
import type { Session } from '../connection.ts';
import { quoteName } from '../identifiers.ts';
import { readStatement, tableOf } from './statements.ts';

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
  for (let first = 0; first === 0 || first < all.length; first += tablesPerTransaction) {
    const some = all.slice(first, first + tablesPerTransaction);
    await inTransaction(session, script, async () => {
      const missing = await missingOf(session, some);
      if (missing.length === 0) return;
      for (const statement of common) await session.query(statement);
      for (const { statements } of missing)
        for (const statement of statements) await session.query(statement);
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
