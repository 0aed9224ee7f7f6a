import type { ChunkCut, ChunkSource, KeyRange } from '../../stores/spi/chunk-source.ts';
import { requireCapability, type Store } from '../../stores/spi/store.ts';
import { displayName } from '../../stores/spi/tables.ts';
import type { DescribedTable } from '../copy/describe-job.ts';

/** Ranges of the chunks that an earlier backup holds in slices, by the name of the chunk. */
type KnownRanges = ReadonlyMap<string, readonly (KeyRange | null)[]>;

/**
 * Cuts chunks as an earlier backup had them: a slice can only be found unchanged if it is the same slice. Ranges that
 * a chunk has outgrown are cut anew.
 */
export async function cutLike(
  base: Store,
  source: ChunkSource,
  tables: readonly DescribedTable[],
): Promise<ChunkSource> {
  const known = await rangesOf(base, tables);
  return {
    open: (request) => source.open(request),
    endSessions: (job) => source.endSessions(job),
    async *cut(table, options) {
      for await (const cut of source.cut(table, options)) {
        const ranges = known.get(displayName(cut.leaf.name));
        const fits =
          ranges !== undefined &&
          stillFit(ranges, cut, table.key) &&
          (await source.areInOrder?.(cut.leaf.name, ranges)) === true;
        yield fits ? { ...cut, ranges } : cut;
      }
    },
  };
}

function stillFit(
  ranges: readonly (KeyRange | null)[],
  cut: ChunkCut,
  key: readonly string[] | null,
): boolean {
  const sameKey = ranges.every((range) => JSON.stringify(range?.columns) === JSON.stringify(key));
  return sameKey && cut.ranges.length <= 2 * ranges.length;
}

async function rangesOf(base: Store, tables: readonly DescribedTable[]): Promise<KnownRanges> {
  const names = tables.map((table) => table.definition.name);
  const found = await requireCapability(base, 'tableReader').find(names);
  const kept = requireCapability(base, 'chunkSource');
  const ranges = new Map<string, readonly (KeyRange | null)[]>();
  for (const table of found) {
    if (table === null) continue;
    const everything = { chunks: '%', chunkBytes: 0, window: null, where: null, bounds: false };
    for await (const cut of kept.cut(table, everything)) {
      if (cut.ranges.length > 1) ranges.set(displayName(cut.leaf.name), cut.ranges);
    }
  }
  return ranges;
}
