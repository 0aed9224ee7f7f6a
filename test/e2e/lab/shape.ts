import type { LabDatabase } from './database.ts';

/** One table to copy, and how. `lab.t`: each partition is one chunk, or several slices. */
export interface Shape {
  readonly mode: 'replace' | 'append' | 'upsert';
  /** Rows of each partition; for a plain table one number. */
  readonly rows: readonly number[];
  readonly partitioned: boolean;
  /** No primary key: nothing but syncline keeps a row from being there twice. */
  readonly keyless?: true;
  /** Width of the filler column. */
  readonly rowBytes: number;
  readonly chunkBytes?: string;
  readonly parallel: number;
  readonly throttle?: string;
  readonly verify: 'none' | 'count' | 'digest';
}

/**
 * Ways of a load, each with a name for tests. An exchange takes partitions above 8 MB on disk, or slices; smaller
 * ones are replaced in place.
 */
export const shapes = {
  exchange: {
    mode: 'replace',
    rows: [60_000, 60_000, 60_000],
    partitioned: true,
    rowBytes: 120,
    parallel: 2,
    verify: 'digest',
  },
  inPlace: {
    mode: 'replace',
    rows: [9_000, 8_000, 7_000, 6_000, 5_000, 4_000],
    partitioned: true,
    rowBytes: 120,
    parallel: 2,
    verify: 'digest',
  },
  sliced: {
    mode: 'replace',
    rows: [20_000, 16_000],
    partitioned: true,
    rowBytes: 120,
    chunkBytes: '500KB',
    parallel: 2,
    verify: 'digest',
  },
  append: {
    mode: 'append',
    rows: [9_000, 8_000, 7_000, 6_000, 5_000, 4_000],
    partitioned: true,
    rowBytes: 120,
    parallel: 2,
    verify: 'digest',
  },
  upsert: {
    mode: 'upsert',
    rows: [16_000, 14_000],
    partitioned: true,
    rowBytes: 120,
    chunkBytes: '500KB',
    parallel: 2,
    verify: 'digest',
  },
} as const satisfies Record<string, Shape>;

export type WayName = keyof typeof shapes;

const columns = 'id bigint NOT NULL, part int NOT NULL, qty numeric, at timestamptz NOT NULL, filler text';

/** Old rows that no row of the source has the key of. They stay under `append` and `upsert`. */
export const oldRows = 40;
/** Rows of the source that the target holds with other values, under `replace` and `upsert`. */
const staleRows = 60;

/** What each partition of the target holds before the copy. */
export function rowsBefore(shape: Shape): number {
  return oldRows + (shape.mode === 'append' ? 0 : staleRows);
}

export async function createTables(source: LabDatabase, target: LabDatabase, shape: Shape): Promise<void> {
  await Promise.all([source.query(definition(shape)), target.query(definition(shape))]);
  const filler = `rpad(md5(i::text), ${shape.rowBytes}, md5(p::text))`;
  const generated = (from: number, to: string, text: string): string =>
    `INSERT INTO lab.t SELECT i, p, i / 7.0, '2026-01-01'::timestamptz + i * interval '1 s', ${text}
       FROM (VALUES ${shape.rows.map((rows, part) => `(${part}, ${rows})`).join(', ')}) AS parts(p, n),
            generate_series(${from}, ${to}) AS i`;
  await Promise.all([
    source.query(`${generated(1, 'n', filler)}; ANALYZE lab.t`),
    target.query(
      [
        generated(-oldRows, '-1', `'old'`),
        ...(shape.mode === 'append' ? [] : [generated(1, String(staleRows), `'stale'`)]),
        'ANALYZE lab.t',
      ].join('; '),
    ),
  ]);
}

function definition({ rows, partitioned, keyless }: Shape): string {
  const key = keyless === true ? '' : ', PRIMARY KEY (id, part)';
  const table = `CREATE SCHEMA lab; CREATE TABLE lab.t (${columns}${key})`;
  const index = 'CREATE INDEX t_at ON lab.t (at)';
  if (!partitioned) return `${table}; ${index}`;
  const leaves = rows.map(
    (_, part) => `CREATE TABLE lab.t_${part} PARTITION OF lab.t FOR VALUES IN (${part})`,
  );
  return [`${table} PARTITION BY LIST (part)`, ...leaves, index].join('; ');
}

export interface JobText extends Shape {
  readonly name: string;
  /** Lines of `onFailure`; the default retries soon. */
  readonly onFailure?: string;
}

export function jobText(job: JobText): string {
  return [
    'kind: copy',
    `name: ${job.name}`,
    `source: { store: source, tables: [lab.t]${job.chunkBytes === undefined ? '' : `, chunkBytes: ${job.chunkBytes}`} }`,
    `target: { store: target, mode: ${job.mode} }`,
    'run:',
    `  parallel: ${job.parallel}`,
    `  verify: ${job.verify}`,
    ...(job.throttle === undefined ? [] : [`  throttle: ${job.throttle}`]),
    `onFailure: ${job.onFailure ?? '{ backoff: { initial: 200ms, max: 1s } }'}`,
    '',
  ].join('\n');
}
