import type pg from 'pg';
import type { Session } from './connection.ts';
import { translateError } from './sqlstate.ts';

/**
 * Several statements in one message and one round trip; the rows of each. In a transaction that reads committed,
 * each statement has a snapshot of its own, as if they had come one by one. No parameters: the caller quotes.
 */
export async function queryEach(
  session: Session,
  statements: readonly [string, string, ...string[]],
): Promise<readonly (readonly unknown[])[]> {
  try {
    const results = (await session.client.query(statements.join('; '))) as unknown as pg.QueryResult[];
    return results.map((result) => result.rows as unknown[]);
  } catch (error) {
    throw translateError(error, session.place);
  }
}
