import { SynclineError } from '../../../definitions/errors.ts';
import type { KeyRange } from '../../spi/chunk-source.ts';
import type { TableName } from '../../spi/tables.ts';
import type { Sessions } from '../connection.ts';
import { displayName, quoteIdent, quoteName } from '../identifiers.ts';

/** SQLSTATE classes of a bound that is no value of its column any more. */
const noValue = /^2[23]/;

/**
 * Whether bounds that were cut earlier still ascend. A key may have become another type or collation since: as text 500
 * comes after 1000, and slices between such bounds overlap. Compared as a reading compares them, column by column.
 */
export async function areInOrder(
  sessions: Sessions,
  leaf: TableName,
  ranges: readonly (KeyRange | null)[],
): Promise<boolean> {
  const bounds = ranges.slice(1).map((range) => recordOf(range));
  const columns = ranges[0]?.columns ?? [];
  if (columns.length === 0 || bounds.includes(null)) return false;
  const row = columns.map((column) => `b.${quoteIdent(column)}`);
  const before = row.map((value) => `lag(${value}) OVER (ORDER BY e.n)`);
  const statement = `SELECT coalesce(bool_and(in_order), true) AS in_order
    FROM (SELECT e.n = 1 OR ROW(${row.join(', ')}) > ROW(${before.join(', ')}) AS in_order
            FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY AS e(bound, n),
                 LATERAL jsonb_populate_record(NULL::${quoteName(leaf)}, e.bound) AS b) AS found`;
  try {
    return await sessions.use(`preflight/${displayName(leaf)}`, async (session) => {
      const [found] = await session.query<{ in_order: boolean }>(statement, [JSON.stringify(bounds)]);
      return found?.in_order === true;
    });
  } catch (error) {
    if (error instanceof SynclineError && noValue.test(error.details.sqlState ?? '')) return false;
    throw error;
  }
}

function recordOf(range: KeyRange | null): Record<string, string> | null {
  const { columns = [], from = null } = range ?? {};
  if (from?.length !== columns.length) return null;
  return Object.fromEntries(columns.map((column, index) => [column, from[index] ?? '']));
}
