import { digestOf, type TableDigest } from '../../../scripts/quickstart/table-digest.ts';
import type { LabDatabase } from './database.ts';
import { oldRows, type Shape } from './shape.ts';

export interface Sides {
  readonly source: LabDatabase;
  readonly target: LabDatabase;
}

export interface Comparison {
  readonly expected: TableDigest;
  readonly found: TableDigest;
  /** Rows of the target that were there before and had to stay. */
  readonly expectedOld: number;
  readonly foundOld: number;
}

/** Reads both sides with SQL that is not syncline's. */
export async function compareSides({ source, target }: Sides, shape: Shape): Promise<Comparison> {
  const expected = await digestOf(source.url, 'lab.t');
  const found = await digestOf(target.url, '(SELECT * FROM lab.t WHERE id >= 0)');
  const [old] = await target.query<{ rows: string }>('SELECT count(*) AS rows FROM lab.t WHERE id < 0');
  const expectedOld = shape.mode === 'replace' ? 0 : oldRows * shape.rows.length;
  return { expected, found, expectedOld, foundOld: Number(old?.rows) };
}

export interface LedgerSum {
  readonly units: number;
  readonly planned: number;
  /** Rows and COPY bytes of everything but `finish`, which repeats its slices. */
  readonly rows: number;
  readonly bytes: number;
  readonly largestUnit: number;
}

export async function sumLedger(target: LabDatabase, job: string): Promise<LedgerSum> {
  const [sum] = await target.query<Record<keyof LedgerSum, string>>(`
    SELECT (SELECT count(*) FROM syncline.ledger WHERE job = '${job}') AS units, count(*) AS planned,
           coalesce(sum(l.rows) FILTER (WHERE u.kind <> 'finish'), 0) AS rows,
           coalesce(sum(l.bytes) FILTER (WHERE u.kind <> 'finish'), 0) AS bytes,
           coalesce(max(l.bytes) FILTER (WHERE u.kind <> 'finish'), 0) AS "largestUnit"
      FROM syncline.unit u LEFT JOIN syncline.ledger l USING (job, load, chunk, slice) WHERE u.job = '${job}'`);
  return {
    units: Number(sum?.units),
    planned: Number(sum?.planned),
    rows: Number(sum?.rows),
    bytes: Number(sum?.bytes),
    largestUnit: Number(sum?.largestUnit),
  };
}

/** Tables of ours besides the ledger's own. */
export async function stagingTables(target: LabDatabase): Promise<string[]> {
  const rows = await target.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
      WHERE nspname = 'syncline' AND relkind IN ('r', 'p') AND starts_with(relname, 'x_')`,
  );
  return rows.map(({ name }) => name);
}

/** Sessions of ours that are open on a database. */
export async function openSessions(database: LabDatabase): Promise<string[]> {
  const rows = await database.query<{ name: string }>(
    `SELECT application_name || ' ' || coalesce(state, '') AS name FROM pg_stat_activity
      WHERE datname = current_database() AND starts_with(application_name, 'syncline')`,
  );
  return rows.map(({ name }) => name);
}

/**
 * Everything a user can see of a database: relations, columns, constraints, indexes, partitions, rights, and how many
 * rows each table holds. Schema `syncline` is left out.
 */
export async function describeDatabase(database: LabDatabase): Promise<readonly string[]> {
  const tables = await database.query<{ name: string; leaf: boolean }>(`
    SELECT format('%I.%I', nspname, relname) AS name, relkind = 'r' AS leaf FROM pg_class
      JOIN pg_namespace n ON n.oid = relnamespace
     WHERE nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'syncline') AND relkind IN ('r', 'p')
     ORDER BY 1`);
  const facts = await database.query<{ fact: string }>(`
    SELECT fact FROM (
      SELECT format('%s %s %s %s', c.oid::regclass, c.relkind, c.relpartbound::text IS NOT NULL, c.relacl) AS fact, c.relnamespace
        FROM pg_class c WHERE c.relkind IN ('r', 'p', 'i', 'I', 'S', 'v')
      UNION ALL SELECT format('%s.%s %s %s', a.attrelid::regclass, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull),
             c.relnamespace FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE a.attnum > 0 AND c.relkind IN ('r', 'p')
      UNION ALL SELECT format('%s: %s', conname, pg_get_constraintdef(oid)), connamespace FROM pg_constraint
      UNION ALL SELECT format('schema %s', nspname), oid FROM pg_namespace
    ) f JOIN pg_namespace n ON n.oid = f.relnamespace
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'syncline') ORDER BY 1`);
  const digests: string[] = [];
  for (const { name, leaf } of tables) {
    if (leaf) digests.push(`${name} ${JSON.stringify(await digestOf(database.url, name))}`);
  }
  return [...facts.map(({ fact }) => fact), ...digests];
}
