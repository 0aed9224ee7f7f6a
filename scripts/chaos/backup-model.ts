import type { LabDatabase } from '../../test/e2e/lab/database.ts';
import type { SourceChange } from './backup-plan.ts';

/** A hash of each row by its key; read by SQL that is not syncline's. */
export type Rows = ReadonlyMap<string, string>;

/** Rows with a key above 0: the others were on the target before. */
export async function rowsOf(database: LabDatabase, table: string): Promise<Rows[]> {
  const rows = await database.query<{ key: string; hash: string; nth: string }>(
    `SELECT part || '/' || id AS key, md5(t::text) AS hash,
            row_number() OVER (PARTITION BY part, id) AS nth FROM ${table} t WHERE id > 0`,
  );
  const first = new Map(rows.filter(({ nth }) => Number(nth) === 1).map(({ key, hash }) => [key, hash]));
  const others = new Map(
    rows.filter(({ nth }) => Number(nth) > 1).map(({ key, hash, nth }) => [`${key}#${nth}`, hash]),
  );
  return [first, others];
}

export interface Difference {
  readonly lost: number;
  readonly doubled: number;
}

/** Rows that are missing or have another content, and rows that must not be there. */
export async function differenceFrom(
  expected: Rows,
  database: LabDatabase,
  table: string,
): Promise<Difference> {
  const none: Rows = new Map();
  const [found = none, others = none] = await rowsOf(database, table);
  let lost = 0;
  for (const [key, hash] of expected) if (found.get(key) !== hash) lost += 1;
  let doubled = others.size;
  for (const key of found.keys()) if (!expected.has(key)) doubled += 1;
  return { lost, doubled };
}

export async function contentOf(source: LabDatabase): Promise<Rows> {
  const [rows = new Map<string, string>()] = await rowsOf(source, 'lab.t');
  return rows;
}

export async function applyChange(
  source: LabDatabase,
  change: SourceChange,
  rowBytes: number,
): Promise<void> {
  const of = `part = ${String(change.part)}`;
  switch (change.kind) {
    case 'insert':
      await source.query(
        `INSERT INTO lab.t SELECT m + i, ${String(change.part)}, i / 3.0, clock_timestamp(), rpad(md5(i::text), ${String(rowBytes)}, 'n')
           FROM (SELECT coalesce(max(id), 0) AS m FROM lab.t WHERE ${of}) AS top, generate_series(1, ${String(change.rows)}) AS i`,
      );
      return;
    case 'update':
      await source.query(`UPDATE lab.t SET qty = qty + 1 WHERE ${of} AND id % ${String(change.every)} = 0`);
      return;
    case 'delete':
      await source.query(`DELETE FROM lab.t WHERE ${of} AND id % ${String(change.every)} = 0`);
      return;
    case 'truncate':
      await source.query(`TRUNCATE lab.t_${String(change.part)}`);
  }
}

/** Rows of `all` that `before` does not hold. */
export function rowsSince(before: Rows, all: Rows): Rows {
  return new Map([...all].filter(([key]) => !before.has(key)));
}
