import type { OpenReading } from '../../spi/chunk-source.ts';
import type { RowFormat } from '../../spi/rows.ts';
import type { Session } from '../connection.ts';
import { quoteColumns, quoteName } from '../identifiers.ts';
import { digestExpression } from './digest.ts';
import { sourceConditions, whereClause } from './rows-of-unit.ts';

/** What is sent to read one unit. */

export const beginReading = 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY';

/**
 * The lock comes first: LOCK takes no snapshot, while TRUNCATE and table rewrites ignore snapshots and must be kept
 * out before one is taken (design 3.1, step 2).
 */
export function lockLeaf({ unit }: OpenReading): string {
  return `LOCK TABLE ONLY ${quoteName(unit.sourceLeaf)} IN ACCESS SHARE MODE`;
}

/**
 * The insert LSN is read after the snapshot. The timeline is that of the log being written: the last checkpoint may
 * still be of the one before a promotion.
 */
export const markStatement = `SELECT pg_current_snapshot()::text AS snapshot,
  (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END)::text AS insert_position,
  (SELECT system_identifier::text FROM pg_control_system()) AS system_id,
  (CASE WHEN pg_is_in_recovery() THEN (SELECT timeline_id FROM pg_control_checkpoint())
    ELSE ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int END) AS timeline`;

/** `FROM` of exactly the rows of the unit. */
export function rowsOfUnit({ plan, unit }: OpenReading): string {
  return `ONLY ${quoteName(unit.sourceLeaf)}${whereClause(sourceConditions(plan, unit))}`;
}

export function copyOutStatement(request: OpenReading): string {
  const { plan, unit } = request;
  const options = plan.format === 'text' ? '' : ` (${formatOption(plan.format)})`;
  const columns = quoteColumns(plan.columns);
  if (sourceConditions(plan, unit).length === 0 && plan.columns.length > 0) {
    return `COPY ${quoteName(unit.sourceLeaf)} (${columns}) TO STDOUT${options}`;
  }
  return `COPY (SELECT ${columns} FROM ${rowsOfUnit(request)}) TO STDOUT${options}`;
}

/** NULL is nothing between the commas and an empty string is `""`, which is what both directions take by default. */
export function formatOption(format: RowFormat): string {
  return `FORMAT ${format}`;
}

export async function digestOfUnit(session: Session, request: OpenReading): Promise<string> {
  const { plan, unit } = request;
  const columns = { all: plan.columns, retyped: plan.retyped };
  const expression = await digestExpression(session, unit.sourceLeaf, columns);
  const rows = await session.query<{ digest: string }>(
    `SELECT ${expression} AS digest FROM ${rowsOfUnit(request)}`,
  );
  return rows[0]?.digest ?? '';
}
