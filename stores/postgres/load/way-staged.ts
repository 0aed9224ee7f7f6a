import type { RowStream } from '../../spi/rows.ts';
import { SynclineError } from '../../../definitions/errors.ts';
import { displayName, quoteColumns, quoteIdent, quoteName } from '../identifiers.ts';
import { expectUnreferenced, noteRemoved, referencesFromOutside } from './references.ts';
import { filterConditions, targetConditions, whereClause } from './rows-of-unit.ts';
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
    async kept() {
      if (request.plan.filteredOnTarget !== true) return null;
      const found = await session.query<{ rows: string }>(
        `SELECT count(*) AS rows FROM ${staging} WHERE ${meets(context)}`,
      );
      return Number(found[0]?.rows ?? 0);
    },
    build: () => Promise.resolve(),
    scan: () => staging,
    async publish() {
      if (request.plan.filteredOnTarget === true)
        await session.query(`DELETE FROM ${staging} WHERE NOT ${meets(context)}`);
      const merges = request.plan.strategy === 'upsert' || request.plan.strategy === 'difference';
      const references = merges ? await referencesFromOutside(session, request, facts) : [];
      if (references.length > 0) {
        const place = { request, target: reach(context), staging, sameKey: sameKey(context) };
        await noteRemoved(session, references, place);
      }
      for (const statement of publishStatements(context, staging)) await session.query(statement);
      if (merges) await merge(context, staging);
      await expectUnreferenced(session, references);
      await session.query(`DROP TABLE ${staging}`);
    },
  };
}

/** True or false, never null: a row whose window column is null is in no window. */
function meets({ request }: WayContext): string {
  const conditions = filterConditions(request.plan);
  return conditions.length === 0 ? 'true' : `((${conditions.join(' AND ')}) IS TRUE)`;
}

/** All but the merge. */
function publishStatements(context: WayContext, staging: string): string[] {
  const { plan } = context.request;
  switch (plan.strategy) {
    case 'append':
      return [insertStatement(context, staging)];
    case 'delete-insert':
      return [deleteStatement(context, null), insertStatement(context, staging)];
    case 'upsert':
      return [`ANALYZE ${staging}`];
    case 'difference':
      return [`ANALYZE ${staging}`, deleteStatement(context, staging)];
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
    conditions.push(`NOT EXISTS (SELECT FROM ${staging} new WHERE ${sameKey(context)})`);
  }
  return `DELETE FROM ${reach(context)} old${whereClause(conditions)}`;
}

/**
 * MERGE checks unique indexes row by row, so values that two rows exchange meet each other: then the rows that differ
 * are deleted first and inserted anew. Where the target has columns of its own that would lose their values.
 */
async function merge(context: WayContext, staging: string): Promise<void> {
  const { session } = context;
  await session.query('SAVEPOINT syncline_merge');
  try {
    await session.query(mergeStatement(context, staging));
  } catch (error) {
    const state = error instanceof SynclineError ? (error.details.sqlState ?? '') : '';
    if (!takenValue.has(state)) throw error;
    await session.query('ROLLBACK TO SAVEPOINT syncline_merge');
    if (await hasColumnsOfItsOwn(context)) throw error;
    await session.query(
      `DELETE FROM ${reach(context)} old USING ${staging} new WHERE ${sameKey(context)} AND ${differs(context)}`,
    );
    await session.query(mergeStatement(context, staging));
  }
}

/** SQLSTATEs of unique and of exclusion constraints. */
const takenValue = new Set(['23505', '23P01']);

async function hasColumnsOfItsOwn({ session, facts, request }: WayContext): Promise<boolean> {
  const rows = await session.query<{ own: boolean }>(
    `SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = $1::oid AND attnum > 0 AND NOT attisdropped
       AND attgenerated = '' AND attname <> ALL ($2::text[])) AS own`,
    [facts.oid, request.plan.columns],
  );
  return rows[0]?.own ?? true;
}

/** Inserts what is new and updates what differs in its image; a row that is equal is not written again. */
function mergeStatement(context: WayContext, staging: string): string {
  const { plan } = context.request;
  const changeable = changeableColumns(context);
  const sets = changeable.map((column) => `${quoteIdent(column)} = new.${quoteIdent(column)}`).join(', ');
  const update =
    changeable.length === 0 ? '' : `WHEN MATCHED AND ${differs(context)} THEN UPDATE SET ${sets}`;
  const values = plan.columns.map((column) => `new.${quoteIdent(column)}`).join(', ');
  return `MERGE INTO ${reach(context)} old USING ${staging} new ON ${sameKey(context)} ${update}
    WHEN NOT MATCHED THEN INSERT (${quoteColumns(plan.columns)}) OVERRIDING SYSTEM VALUE VALUES (${values})`;
}

/** The key too: values that are equal may look different (1.0 and 1.00, letters of a collation that ignores case). */
function changeableColumns({ request, facts }: WayContext): string[] {
  const always = new Set(facts.identityColumns);
  return request.plan.columns.filter((column) => !always.has(column));
}

/** The cast keeps the parser from comparing column by column, which json or point could not. */
function differs(context: WayContext): string {
  const row = (alias: string): string =>
    `ROW(${changeableColumns(context)
      .map((column) => `${alias}.${quoteIdent(column)}`)
      .join(', ')})::record`;
  return `${row('old')} *<> ${row('new')}`;
}

function sameKey(context: WayContext): string {
  return keyOf(context)
    .map((column) => `old.${quoteIdent(column)} = new.${quoteIdent(column)}`)
    .join(' AND ');
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
