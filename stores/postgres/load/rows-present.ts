import type { TablePlan } from '../../spi/chunk-source.ts';
import type { Sessions } from '../connection.ts';
import { displayName, quoteName } from '../identifiers.ts';
import { filterConditions, whereClause } from './rows-of-unit.ts';

export async function rowsPresent(sessions: Sessions, plan: TablePlan): Promise<number> {
  return await sessions.use(`preflight/${displayName(plan.target)}`, async (session) => {
    const rows = await session.query<{ rows: string }>(
      `SELECT count(*) AS rows FROM ${quoteName(plan.target)}${whereClause(filterConditions(plan))}`,
    );
    return Number(rows[0]?.rows ?? 0);
  });
}
