import type { ChunkCut, ChunkSource, LoadUnit } from '../../stores/spi/chunk-source.ts';
import type { LeafMatch } from '../../planning/leaf-match.ts';
import { displayName } from '../../stores/spi/tables.ts';
import { type DescribedTable, tablePlanOf } from './describe-job.ts';

/** Units of all tables in the order of the plan, made one chunk at a time. */
export async function* unitsOf(
  source: ChunkSource,
  tables: readonly DescribedTable[],
): AsyncGenerator<LoadUnit> {
  let ordinal = 0;
  for (const [index, table] of tables.entries()) {
    const again = tables.slice(0, index).some((other) => sameTable(other, table));
    const matches = new Map(table.match.leaves.map((leaf) => [displayName(leaf.source), leaf]));
    for await (const cut of cutsOf(source, table)) {
      const match = matches.get(displayName(cut.leaf.name)) ?? null;
      for (const unit of unitsOfChunk(table, cut, { table: index + 1, after: ordinal, match, again })) {
        ordinal = unit.ordinal;
        yield unit;
      }
    }
  }
}

export function cutsOf(source: ChunkSource, table: DescribedTable): AsyncIterable<ChunkCut> {
  const plan = tablePlanOf(table, 0);
  return source.cut(table.definition, {
    chunks: table.selection.chunks,
    chunkBytes: table.decision.slices ? table.selection.chunkBytes : Number.MAX_SAFE_INTEGER,
    window: plan.window,
    where: plan.where,
    bounds: table.match.leaves.some((leaf) => leaf.routed),
  });
}

interface Place {
  readonly table: number;
  readonly after: number;
  readonly match: LeafMatch | null;
  /** The same source table was selected before; the ledger knows a chunk by its name, so this one needs its own. */
  readonly again: boolean;
}

function sameTable(one: DescribedTable, other: DescribedTable): boolean {
  return displayName(one.definition.name) === displayName(other.definition.name);
}

function unitsOfChunk(table: DescribedTable, cut: ChunkCut, place: Place): LoadUnit[] {
  const { leaf, ranges } = cut;
  const { match } = place;
  const first = place.after + 1;
  const common = {
    firstOfChunk: first,
    chunk: place.again ? `${displayName(leaf.name)}@${String(place.table)}` : displayName(leaf.name),
    table: place.table,
    sourceLeaf: leaf.name,
    targetLeaf: match?.target ?? table.target,
    bound: match?.routed === true ? (cut.bound ?? null) : null,
  };
  if (ranges.length <= 1) {
    const range = ranges[0] ?? null;
    return [{ ...common, ordinal: first, kind: 'whole', slice: 0, range, bytes: cut.bytes }];
  }
  const slices = ranges.map((range, index): LoadUnit => ({
    ...common,
    ordinal: first + index,
    kind: 'slice',
    slice: index + 1,
    range,
    bytes: Math.ceil(cut.bytes / ranges.length),
  }));
  const { strategy } = table.decision;
  if (strategy !== 'swap' && strategy !== 'in-place') return slices;
  const last = first + ranges.length;
  return [...slices, { ...common, ordinal: last, kind: 'finish', slice: 0, range: null, bytes: 0 }];
}
