import type { KeyRange, TablePlan } from '../../spi/chunk-source.ts';
import type { LoadedChunk } from '../../spi/load-ledger.ts';
import type { SnapshotMark } from '../../spi/rows.ts';
import type { TableName } from '../../spi/tables.ts';
import type { Session, Sessions } from '../connection.ts';
import { quoteLiteral } from '../identifiers.ts';
import { queryEach } from '../query-each.ts';
import { hasLedger } from './schema.ts';

interface ChunkRow {
  readonly load: string;
  readonly kind: 'whole' | 'slice' | 'finish';
  readonly chunk: string;
  readonly table_ordinal: number;
  readonly source_leaf: TableName;
  readonly target_leaf: TableName;
  readonly range: KeyRange | null;
  readonly done: boolean;
  readonly skipped: boolean;
  readonly snapshot: string | null;
  readonly insert_lsn: string | null;
  readonly system_id: string | null;
  readonly timeline: number | null;
}

/** In the order of the loads and of their plans. */
const chunksStatement = (job: string, loads: string): string => `
SELECT u.load, u.kind, u.chunk, u.table_ordinal, u.source_leaf, u.target_leaf, u.range,
  l.job IS NOT NULL AS done, d.job IS NOT NULL AS skipped, l.snapshot, l.insert_lsn, l.system_id, l.timeline
FROM syncline.load o JOIN syncline.unit u USING (job, load)
LEFT JOIN syncline.ledger l ON (l.job, l.load, l.chunk, l.slice) = (u.job, u.load, u.chunk, u.slice)
LEFT JOIN syncline.dead_letter d ON (d.job, d.load, d.ordinal) = (u.job, u.load, u.ordinal)
WHERE o.job = ${job} AND o.load = ANY (${loads})
ORDER BY o.created_at, o.load, u.ordinal`;

interface PlanRow {
  readonly load: string;
  readonly tables: readonly TablePlan[];
}

/** See LoadLedger.chunks. */
export async function loadedChunks(
  sessions: Sessions,
  job: string,
  prefix: string,
): Promise<readonly LoadedChunk[]> {
  return await sessions.use(`${job}/chunks`, async (session) => {
    if (!(await hasLedger(session))) return [];
    const plans = await session.query<PlanRow>(
      `SELECT load, tables FROM syncline.load WHERE job = $1 AND pg_catalog.starts_with(load, $2)`,
      [job, prefix],
    );
    const wanted = plans.filter(({ load }) => beginsWith(load, prefix));
    if (wanted.length === 0) return [];
    const tables = new Map(wanted.map((plan) => [plan.load, plan.tables]));
    const chunks = new Map<string, LoadedChunk>();
    for (const rows of byChunk(await unitRows(session, job, [...tables.keys()]))) {
      const chunk = chunkOf(rows, tables);
      if (chunk !== null) chunks.set(chunk.chunk, chunk);
    }
    return [...chunks.values()];
  });
}

/** `link:1` is not the beginning of `link:10`. */
function beginsWith(load: string, prefix: string): boolean {
  return !(/\d$/.test(prefix) && /^\d/.test(load.slice(prefix.length)));
}

/** Without statistics yet, a nested loop would look at every ledger row for every unit. */
async function unitRows(
  session: Session,
  job: string,
  loads: readonly string[],
): Promise<readonly ChunkRow[]> {
  const list = `ARRAY[${loads.map(quoteLiteral).join(', ')}]`;
  const [, , rows] = await queryEach(session, [
    'BEGIN READ ONLY',
    'SET LOCAL enable_nestloop = off',
    chunksStatement(quoteLiteral(job), list),
    'COMMIT',
  ]);
  return (rows ?? []) as readonly ChunkRow[];
}

function* byChunk(rows: readonly ChunkRow[]): Generator<readonly [ChunkRow, ...ChunkRow[]]> {
  let current: [ChunkRow, ...ChunkRow[]] | null = null;
  for (const row of rows) {
    if (current?.[0].load === row.load && current[0].chunk === row.chunk) {
      current.push(row);
      continue;
    }
    if (current !== null) yield current;
    current = [row];
  }
  if (current !== null) yield current;
}

function chunkOf(
  rows: readonly [ChunkRow, ...ChunkRow[]],
  tables: ReadonlyMap<string, readonly TablePlan[]>,
): LoadedChunk | null {
  const [first] = rows;
  const plan = tables.get(first.load)?.find(({ ordinal }) => ordinal === first.table_ordinal);
  if (plan === undefined) return null;
  return {
    load: first.load,
    chunk: first.chunk,
    plan,
    sourceLeaf: first.source_leaf,
    targetLeaf: first.target_leaf,
    slices: rows
      .filter(({ kind }) => kind !== 'finish')
      .map((row) => ({ range: row.range, mark: markOf(row) })),
    complete: rows.every(({ done }) => done),
    skipped: rows.some(({ skipped }) => skipped),
  };
}

function markOf(row: ChunkRow): SnapshotMark | null {
  const { snapshot, insert_lsn: insertPosition, system_id: systemId, timeline } = row;
  if (snapshot === null || insertPosition === null || systemId === null || timeline === null) return null;
  return { snapshot, insertPosition, systemId, timeline };
}
