import { SynclineError } from '../../../definitions/errors.ts';
import type { BeginWriting } from '../../spi/chunk-target.ts';
import type { TablePlan } from '../../spi/chunk-source.ts';
import type { Session, Sessions } from '../connection.ts';
import { quoteColumns, quoteIdent, quoteName } from '../identifiers.ts';
import type { LeafFacts } from './leaf-facts.ts';
import { filterConditions, targetConditions } from './rows-of-unit.ts';

/**
 * While rows are written triggers are quiet (session_replication_role), and so are the server's own checks of foreign
 * keys. Tables of one job refer to each other and arrive in any order, so their keys are checked at the end of the job;
 * rows of other tables must never lose what they refer to, not for a moment.
 */
interface Reference {
  readonly name: string;
  /** Quoted, with ONLY where it is no partitioned table. */
  readonly from: string;
  readonly to: string;
  readonly fromTable: string;
  readonly toTable: string;
  readonly columns: readonly string[];
  /** Conditions over `r`, the row that refers, and `k`, the one it refers to. */
  readonly present: string;
  readonly equal: string;
}

/** Trees are told by their root; copies of a constraint for partitions and those not (yet) enforced are left out. */
const referencesQuery = (condition: string): string => `
SELECT con.conname AS name,
       format('%s%I.%I', CASE WHEN rc.relkind = 'p' THEN '' ELSE 'ONLY ' END, rn.nspname, rc.relname) AS from,
       format('%s%I.%I', CASE WHEN kc.relkind = 'p' THEN '' ELSE 'ONLY ' END, kn.nspname, kc.relname) AS to,
       format('%I.%I', rn.nspname, rc.relname) AS "fromTable", format('%I.%I', kn.nspname, kc.relname) AS "toTable",
       pairs.columns, pairs.present, pairs.equal
  FROM pg_constraint con
  JOIN pg_class rc ON rc.oid = con.conrelid JOIN pg_namespace rn ON rn.oid = rc.relnamespace
  JOIN pg_class kc ON kc.oid = con.confrelid JOIN pg_namespace kn ON kn.oid = kc.relnamespace
  CROSS JOIN LATERAL (
    SELECT array_agg(ka.attname::text ORDER BY p.n) AS columns,
           string_agg(format('r.%I IS NOT NULL', ra.attname), ' AND ') AS present,
           string_agg(format('k.%I OPERATOR(%I.%s) r.%I', ka.attname, opn.nspname, op.oprname, ra.attname), ' AND ') AS equal
      FROM unnest(con.conkey, con.confkey, con.conpfeqop) WITH ORDINALITY AS p(mine, theirs, operator, n)
      JOIN pg_attribute ra ON ra.attrelid = con.conrelid AND ra.attnum = p.mine
      JOIN pg_attribute ka ON ka.attrelid = con.confrelid AND ka.attnum = p.theirs
      JOIN pg_operator op ON op.oid = p.operator JOIN pg_namespace opn ON opn.oid = op.oprnamespace) pairs
 WHERE con.contype = 'f' AND con.conparentid = 0 AND con.convalidated
   AND coalesce(to_jsonb(con)->>'conperiod', 'false') = 'false' AND ${condition}
 ORDER BY "fromTable", con.conname`;

const above = `SELECT $1::oid UNION SELECT relid FROM pg_partition_ancestors($1::oid)`;
const below = `WITH RECURSIVE tree(oid) AS (SELECT to_regclass($1) UNION
  SELECT i.inhrelid FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid) SELECT oid FROM tree`;

/** Foreign keys of tables outside the load whose rows could lose what they refer to by this unit. */
export async function referencesFromOutside(
  session: Session,
  { ref, plan }: BeginWriting,
  facts: LeafFacts,
): Promise<readonly Reference[]> {
  const found = await session.query<Reference>(referencesQuery(`con.confrelid IN (${above})`), [facts.oid]);
  // An upsert removes no row, and what is equal by key stays equal.
  const key = new Set(plan.key ?? []);
  const concerned =
    plan.strategy === 'difference'
      ? found
      : found.filter(({ columns }) =>
          columns.some((column) => !key.has(column) && plan.columns.includes(column)),
        );
  if (concerned.length === 0) return [];
  const tables = await session.query<{ name: string }>(
    `SELECT format('%I.%I', t->'target'->>'schema', t->'target'->>'name') AS name
       FROM syncline.load CROSS JOIN jsonb_array_elements(tables) t WHERE job = $1 AND load = $2`,
    [ref.job, ref.load],
  );
  const inside = new Set(tables.map((table) => table.name));
  return concerned.filter((reference) => !inside.has(reference.fromTable));
}

export interface RemovedKeys {
  readonly request: BeginWriting;
  /** `FROM` of the rows that are written to, called `old`. */
  readonly target: string;
  readonly staging: string;
  /** That `old` and `new`, a staged row, are the same by key. */
  readonly sameKey: string;
}

const kept = (position: number): string => `syncline_removed_${String(position)}`;

/** Before the rows are written: what of the referenced values will not be there afterwards. */
export async function noteRemoved(
  session: Session,
  references: readonly Reference[],
  { request, target, staging, sameKey }: RemovedKeys,
): Promise<void> {
  const { plan, unit } = request;
  for (const [position, { columns }] of references.entries()) {
    const same = columns
      .filter((column) => plan.columns.includes(column))
      .map((column) => `new.${quoteIdent(column)} = old.${quoteIdent(column)}`);
    const staged = (conditions: string): string =>
      `EXISTS (SELECT FROM ${staging} new WHERE ${sameKey} AND ${conditions})`;
    const stays = same.length === 0 ? 'true' : `(${same.join(' AND ')})`;
    const goes = plan.strategy === 'difference' ? `NOT ${staged(stays)}` : staged(`NOT ${stays}`);
    const conditions = [...targetConditions(plan, unit), goes].join(' AND ');
    await session.query(
      `CREATE TEMPORARY TABLE ${kept(position)} AS SELECT ${quoteColumns(columns)} FROM ${target} old WHERE ${conditions}`,
    );
  }
}

/** Afterwards, in the same transaction: throws `target.constraint` when a row elsewhere refers to one of them. */
export async function expectUnreferenced(session: Session, references: readonly Reference[]): Promise<void> {
  for (const [position, reference] of references.entries()) {
    const { from, to, equal, present } = reference;
    const gone = `EXISTS (SELECT FROM pg_temp.${kept(position)} k WHERE ${equal})`;
    await expectWhole(
      session,
      reference,
      `FROM ${from} r WHERE ${present} AND ${gone} AND NOT EXISTS (SELECT FROM ${to} k WHERE ${equal})`,
    );
    await session.query(`DROP TABLE pg_temp.${kept(position)}`);
  }
}

/**
 * At the end of a job: every row that it may have written refers to rows that are there. Where rows were also taken
 * away from the referenced table all that refer to it are looked at. Throws `target.constraint`.
 */
export async function checkReferences(sessions: Sessions, plans: readonly TablePlan[]): Promise<void> {
  const replaced = new Set(
    plans.filter((plan) => plan.strategy === 'difference').map((plan) => quoteName(plan.target)),
  );
  await sessions.use('references', async (session) => {
    for (const plan of plans) {
      const found = await session.query<Reference>(referencesQuery(`con.conrelid IN (${below})`), [
        quoteName(plan.target),
      ]);
      for (const reference of found) {
        const conditions = replaced.has(reference.toTable) ? [] : filterConditions(plan);
        const { from, to, equal, present } = reference;
        const where = [present, ...conditions, `NOT EXISTS (SELECT FROM ${to} k WHERE ${equal})`];
        await expectWhole(session, reference, `FROM ${from} r WHERE ${where.join(' AND ')}`);
      }
    }
  });
}

async function expectWhole(session: Session, reference: Reference, broken: string): Promise<void> {
  const rows = await session.query<{ broken: boolean }>(`SELECT EXISTS (SELECT ${broken}) AS broken`);
  if (rows[0]?.broken === false) return;
  const { name, fromTable, toTable } = reference;
  throw new SynclineError(
    'target.constraint',
    `Foreign key ${name} does not hold: rows of ${fromTable} on the target refer to rows that ${toTable} has not, or would have no more.`,
    { details: { table: fromTable, constraint: name } },
  );
}
