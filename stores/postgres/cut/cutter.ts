import type { ChunkCut, ChunkSource, CutOptions } from '../../spi/chunk-source.ts';
import type { LeafDefinition, TableDefinition } from '../../spi/tables.ts';
import type { Session, Sessions } from '../connection.ts';
import { displayName, quoteName } from '../identifiers.ts';
import { cutLeaf } from './key-ranges.ts';
import { likeMatcher } from '../../../planning/like-pattern.ts';
import { leavesInWindow } from './window-pruning.ts';

/** The cutting half of a chunk source. */
export function createCutter(sessions: Sessions): Pick<ChunkSource, 'cut'> {
  return { cut: (table, options) => cutTable(sessions, table, options) };
}

/** Leaves whose bounds are read by one statement. */
const pageLeaves = 500;

/** Leaf by leaf, so that the bounds of one leaf are all that is held. */
async function* cutTable(
  sessions: Sessions,
  table: TableDefinition,
  options: CutOptions,
): AsyncGenerator<ChunkCut> {
  const { window } = options;
  const matches = likeMatcher(options.chunks);
  const kept =
    window === null
      ? table.leaves
      : await sessions.use('cut', (session) => leavesInWindow(session, table, window));
  const leaves = kept.filter((leaf) => matches(leaf.name.name));
  for (let first = 0; first < leaves.length; first += pageLeaves) {
    const page = leaves.slice(first, first + pageLeaves);
    const bounds =
      options.bounds === false ? [] : await sessions.use('cut', (session) => boundConditions(session, page));
    for (const [position, leaf] of page.entries()) {
      const bound = bounds[position] ?? null;
      if (leaf.bytes <= options.chunkBytes || table.key === null) {
        yield { leaf, ranges: [null], bound, bytes: leaf.bytes };
        continue;
      }
      const label = `cut/${displayName(leaf.name)}`;
      const { ranges, share } = await sessions.use(label, (session) =>
        cutLeaf(session, table, { leaf, options }),
      );
      yield { leaf, ranges, bound, bytes: Math.ceil(leaf.bytes * share) };
    }
  }
}

/** The constraint of each partition, all levels together. A hash bound names its table by id: it says nothing elsewhere. */
async function boundConditions(
  session: Session,
  leaves: readonly LeafDefinition[],
): Promise<readonly (string | null)[]> {
  const rows = await session.query<{ readonly condition: string | null }>(
    `SELECT CASE WHEN condition NOT LIKE '%satisfies_hash_partition(%' THEN condition END AS condition
       FROM unnest($1::text[]) WITH ORDINALITY AS asked(name, position)
       LEFT JOIN pg_class c ON c.oid = to_regclass(asked.name) AND c.relispartition
       LEFT JOIN LATERAL (SELECT pg_get_partition_constraintdef(c.oid) AS condition) d ON true
      ORDER BY asked.position`,
    [leaves.map((leaf) => quoteName(leaf.name))],
  );
  return rows.map((row) => row.condition);
}
