import type { BeginWriting } from '../../spi/chunk-target.ts';
import type { Digest } from '../../spi/rows.ts';
import type { TableName } from '../../spi/tables.ts';
import type { Session } from '../connection.ts';
import { quoteName } from '../identifiers.ts';
import { queryEach } from '../query-each.ts';
import { digestExpression } from './digest.ts';
import { readTableKind } from './leaf-facts.ts';
import { targetConditions, whereClause } from './rows-of-unit.ts';

/**
 * Whether the rows that a unit stands for on the target are exactly those of the digest. Digests of values that became
 * another type cannot be compared. Inside a savepoint that is rolled back, so that no lock stays on the table: whoever
 * reads it and waits for us would otherwise wait for ever when the rows are exchanged after all.
 */
export async function areRowsThere(
  session: Session,
  { plan, unit }: Pick<BeginWriting, 'plan' | 'unit'>,
  digest: Digest | null,
): Promise<boolean> {
  if (digest === null || plan.retyped.length > 0) return false;
  const columns = { all: plan.columns, retyped: plan.retyped };
  const expression = await digestExpression(session, unit.targetLeaf, columns);
  const rows = `${await reachOf(session, unit.targetLeaf)}${whereClause(targetConditions(plan, unit))}`;
  const [, found] = await queryEach(session, [
    'SAVEPOINT syncline_there',
    `SELECT ${expression} AS digest FROM ${rows}`,
    'ROLLBACK TO SAVEPOINT syncline_there',
    'RELEASE SAVEPOINT syncline_there',
  ]);
  return (found?.[0] as { digest: string } | undefined)?.digest === digest;
}

/** A partitioned table shows the rows of its partitions; any other is meant alone, without inheritance children. */
async function reachOf(session: Session, name: TableName): Promise<string> {
  const { kind } = await readTableKind(session, name);
  return `${kind === 'p' ? '' : 'ONLY '}${quoteName(name)}`;
}
