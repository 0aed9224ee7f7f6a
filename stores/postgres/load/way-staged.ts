import type { RowStream } from '../../spi/rows.ts';
import { SynclineError } from '../../../definitions/errors.ts';
import { displayName, quoteColumns, quoteIdent, quoteName } from '../identifiers.ts';
import { targetConditions, whereClause } from './rows-of-unit.ts';
import { copyRows, type WayContext } from './way-context.ts';
import type { Way } from './way.ts';

/**
 * Rows go into a staging table that lives and dies inside the transaction, and from there into the target by one or
 * two statements: `append`, `upsert`, `difference`, `delete-insert`. A temporary table, never an unlogged one: a server
 * (15 to 18) that crashes just after the roll-back of a transaction that made one cannot start any more ("could not
 * create file: File exists"). The transaction has one unit, so one name will do.
 */
const staging = 'pg_temp.syncline_staging';

export function createStagedWay(context: WayContext): Way {
  const { session, request, facts } = context;
  const target = quoteName(facts.name);
  const columns = quoteColumns(request.plan.columns);
  return {
    async fill(rows: RowStream) {
      await session.query(
        `CREATE TEMPORARY TABLE syncline_staging AS SELECT ${columns} FROM ${target} WITH NO DATA`,
      );
      return await copyRows(context, { into: staging, rows, freeze: true });
    },
    build: () => Promise.resolve(),
    scan: () => staging,
    async publish() {
      for (const statement of publishStatements(context, staging)) await session.query(statement);
      await session.query(`DROP TABLE ${staging}`);
    },
  };
}

function publishStatements(context: WayContext, staging: string): string[] {
  const { plan } = context.request;
  switch (plan.strategy) {
    case 'append':
      return [insertStatement(context, staging)];
    case 'delete-insert':
      return [deleteStatement(context, null), insertStatement(context, staging)];
    case 'upsert':
      return [`ANALYZE ${staging}`, mergeStatement(context, staging)];
    case 'difference':
      return [`ANALYZE ${staging}`, deleteStatement(context, staging), mergeStatement(context, staging)];
    case 'swap':
    case 'in-place':
    case 'object':
      throw new SynclineError('internal.unexpected', `Strategy ${plan.strategy} is not staged.`);
  }
}

function insertStatement(context: WayContext, staging: string): string {
  const { plan } = context.request;
  const target = quoteName(context.facts.name);
  if (plan.columns.length === 0) return `INSERT INTO ${target} SELECT FROM ${staging}`;
  const columns = quoteColumns(plan.columns);
  return `INSERT INTO ${target} (${columns}) OVERRIDING SYSTEM VALUE SELECT ${columns} FROM ${staging}`;
}

/** All rows of the unit, or those whose key is not staged. */
function deleteStatement(context: WayContext, staging: string | null): string {
  const { plan, unit } = context.request;
  const conditions = targetConditions(plan, unit);
  if (staging !== null) {
    const key = keyOf(context);
    const same = key
      .map((column) => `staged.${quoteIdent(column)} = old.${quoteIdent(column)}`)
      .join(' AND ');
    conditions.push(`NOT EXISTS (SELECT FROM ${staging} staged WHERE ${same})`);
  }
  return `DELETE FROM ${reach(context)} old${whereClause(conditions)}`;
}

/** Inserts what is new and updates what differs in its image; a row that is equal is not written again. */
function mergeStatement(context: WayContext, staging: string): string {
  const { plan } = context.request;
  const key = keyOf(context);
  const always = new Set(context.facts.identityColumns);
  const changeable = plan.columns.filter((column) => !key.includes(column) && !always.has(column));
  const on = key.map((column) => `old.${quoteIdent(column)} = new.${quoteIdent(column)}`).join(' AND ');
  // The cast keeps the parser from comparing column by column, which json or point could not.
  const rowOf = (alias: string): string =>
    `ROW(${changeable.map((column) => `${alias}.${quoteIdent(column)}`).join(', ')})::record`;
  const update =
    changeable.length === 0
      ? ''
      : `WHEN MATCHED AND ${rowOf('old')} *<> ${rowOf('new')} THEN UPDATE SET ${changeable
          .map((column) => `${quoteIdent(column)} = new.${quoteIdent(column)}`)
          .join(', ')}`;
  const values = plan.columns.map((column) => `new.${quoteIdent(column)}`).join(', ');
  return `MERGE INTO ${reach(context)} old USING ${staging} new ON ${on} ${update}
    WHEN NOT MATCHED THEN INSERT (${quoteColumns(plan.columns)}) OVERRIDING SYSTEM VALUE VALUES (${values})`;
}

/** A partitioned table passes rows on; any other is meant alone, without inheritance children. */
function reach(context: WayContext): string {
  return `${context.facts.kind === 'p' ? '' : 'ONLY '}${quoteName(context.facts.name)}`;
}

function keyOf(context: WayContext): readonly string[] {
  const { key } = context.request.plan;
  if (key === null) {
    const table = displayName(context.facts.name);
    throw new SynclineError('source.noKey', `${table} has no key to compare rows by.`, {
      details: { table },
    });
  }
  return key;
}
