import { queryOnce } from '../../e2e/lab/database.ts';
import { workloadTables } from './tables.ts';

export interface TableDifference {
  readonly table: string;
  /** Rows of the source that the target does not hold, or holds less often. */
  readonly lost: number;
  /** Rows of the target that the source does not hold, or holds less often. */
  readonly doubled: number;
}

interface Fingerprint {
  readonly hash: string;
  readonly rows: number;
}

/**
 * Both sides of every table, row by row as text and in no order. A row that has another content on the target is lost and
 * doubled. Only tables that differ are answered.
 */
export async function differencesBetween(source: string, target: string): Promise<TableDifference[]> {
  const differences: TableDifference[] = [];
  for (const { name } of workloadTables) {
    const [expected, found] = [await fingerprints(source, name), await fingerprints(target, name)];
    const difference = compare(expected, found);
    if (difference.lost + difference.doubled > 0) differences.push({ table: name, ...difference });
  }
  return differences;
}

export function compare(
  expected: readonly Fingerprint[],
  found: readonly Fingerprint[],
): Omit<TableDifference, 'table'> {
  const left = new Map(expected.map(({ hash, rows }) => [hash, rows]));
  let doubled = 0;
  for (const { hash, rows } of found) {
    const wanted = left.get(hash) ?? 0;
    left.set(hash, wanted - Math.min(wanted, rows));
    doubled += Math.max(0, rows - wanted);
  }
  let lost = 0;
  for (const rows of left.values()) lost += rows;
  return { lost, doubled };
}

async function fingerprints(url: string, table: string): Promise<Fingerprint[]> {
  return await queryOnce<Fingerprint>(
    url,
    `SET extra_float_digits = 3; SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY'; SET IntervalStyle = 'postgres';
     SET bytea_output = 'hex'; SET lc_monetary = 'C';
     SELECT md5(t::text) AS hash, count(*)::int AS rows FROM ${table} t GROUP BY 1`,
  );
}
