import { renamed } from './leaf-names.ts';
import type { LeafFacts, NameFacts, TableFacts } from './table-facts.ts';

/** Where the rows of one source leaf go. */
export interface LeafMatch {
  readonly source: NameFacts;
  /** The leaf with the same bounds; the table itself when its server must route the rows. */
  readonly target: NameFacts;
  readonly routed: boolean;
  /** Not there yet: `createTables` makes it under this name. */
  readonly toCreate: boolean;
}

export interface LayoutRequest {
  readonly source: TableFacts;
  readonly target: TableFacts | null;
  readonly as: NameFacts;
  readonly createTables: boolean;
}

/** Each source leaf to its place, in order. */
export function matchLeaves({ source, target, as, createTables }: LayoutRequest): readonly LeafMatch[] {
  const renaming = { from: source.name, to: as };
  if (target === null) {
    return source.leaves.map((leaf) => ({
      source: leaf.name,
      target: renamed(leaf.name, renaming),
      routed: false,
      toCreate: true,
    }));
  }
  const places = new Map(target.leaves.map((leaf) => [placeOf(leaf, target), leaf.name]));
  const mayCreate = createTables && samePartitioning(source, target);
  return source.leaves.map((leaf) => {
    const place =
      leaf.bounds.length === 0
        ? inheritedPlace(leaf, source, renamed(leaf.name, renaming))
        : placeOf(leaf, source);
    const found = places.get(place);
    if (found !== undefined) return { source: leaf.name, target: found, routed: false, toCreate: false };
    if (mayCreate)
      return { source: leaf.name, target: renamed(leaf.name, renaming), routed: false, toCreate: true };
    return { source: leaf.name, target: target.name, routed: true, toCreate: false };
  });
}

/** Whether missing partitions can simply be added: the same kind of tree, and the same key at the top. */
export function samePartitioning(source: TableFacts, target: TableFacts): boolean {
  if (source.shape !== target.shape) return false;
  if (source.shape !== 'partitioned') return source.shape === 'inherited';
  const top = (table: TableFacts): string | undefined => table.leaves[0]?.partitionedBy?.[0];
  return target.leaves.length === 0 || top(source) === top(target);
}

/** Partitions are known by key and bounds of every level, inheritance children by name, a plain table is one place. */
function placeOf(leaf: LeafFacts, table: TableFacts): string {
  return leaf.bounds.length === 0
    ? inheritedPlace(leaf, table, leaf.name)
    : JSON.stringify([leaf.partitionedBy ?? [], leaf.bounds]);
}

function inheritedPlace(leaf: LeafFacts, table: TableFacts, name: NameFacts): string {
  const isRoot = leaf.name.schema === table.name.schema && leaf.name.name === table.name.name;
  return isRoot ? 'root' : `${name.schema}.${name.name}`;
}
