import { SynclineError } from '../../../definitions/errors.ts';
import type { AppliedLeaf } from '../../spi/log-target.ts';
import type { LogRelation } from '../../spi/log.ts';
import { displayName, quoteName } from '../identifiers.ts';
import { checkColumns } from './schema-change.ts';
import type { TargetColumn, TargetFacts } from './target-facts.ts';

/** A table of the target that changes go to. One object for all leaves of the source that are routed to it. */
export interface Target {
  /** For people and for details of errors. */
  readonly name: string;
  /** As statements name it: a partitioned table passes rows on, any other is meant alone. */
  readonly reach: string;
  readonly quoted: string;
  readonly facts: TargetFacts;
}

/** How the changes of one leaf, in one shape, reach its table. Column numbers are those of an image. */
export interface Route {
  readonly relation: LogRelation;
  readonly leaf: AppliedLeaf;
  readonly target: Target;
  /** 1: goes to the target. */
  readonly carried: Uint8Array;
  /** What `carried` marks, in order. */
  readonly columns: readonly TargetColumn[];
  /** 1: part of the key. Null: rows are found by all of their columns, or never. */
  readonly key: Uint8Array | null;
  readonly keyColumns: readonly TargetColumn[];
  /** Column after the last one of the key: no need to look further for it. */
  readonly keyEnd: number;
  /** Columns that only the target has, and fills. */
  readonly own: readonly TargetColumn[];
  /** Keys are equal only when their bytes are. */
  readonly keyIsExact: boolean;
  /** A secondary unique or exclusion constraint: rows may have to leave before others come. */
  readonly hasOtherUniques: boolean;
  /** Other leaves of the source go to the same table. */
  readonly isShared: boolean;
  /** Equal for leaves whose images may be mixed in one batch. */
  readonly shape: string;
}

export interface Destination {
  readonly leaf: AppliedLeaf;
  readonly target: Target;
  readonly isShared: boolean;
}

export function routeOf(relation: LogRelation, { leaf, target, isShared }: Destination): Route {
  checkColumns(relation, leaf, target);
  const wanted = new Set(leaf.columns);
  const keyNames = leaf.key === null ? null : new Set(leaf.key);
  const carried = new Uint8Array(relation.columns.length);
  const key = keyNames === null ? null : new Uint8Array(relation.columns.length);
  const columns: TargetColumn[] = [];
  const keyColumns: TargetColumn[] = [];
  relation.columns.forEach(({ name }, index) => {
    const column = target.facts.columns.get(name);
    if (!wanted.has(name) || column === undefined || column.generated) return;
    carried[index] = 1;
    columns.push(column);
    if (key === null || keyNames?.has(name) !== true) return;
    key[index] = 1;
    keyColumns.push(column);
  });
  if (keyNames !== null && keyColumns.length !== keyNames.size) throw keyIsMissing(leaf);
  return {
    relation,
    leaf,
    target,
    isShared,
    carried,
    columns,
    key,
    keyColumns,
    keyEnd: key === null ? 0 : key.lastIndexOf(1) + 1,
    own: [...target.facts.columns.values()].filter(
      (column) => !columns.includes(column) && !column.generated,
    ),
    keyIsExact: keyColumns.every(({ exact }) => exact),
    hasOtherUniques: target.facts.uniques.some(
      (unique) => unique.exclusion || keyNames === null || !isThatKey(unique.columns, keyNames),
    ),
    shape: JSON.stringify([
      relation.columns.map(({ name, typeId }) => [name, typeId]),
      leaf.columns,
      leaf.key,
    ]),
  };
}

function isThatKey(columns: readonly (string | null)[], key: ReadonlySet<string>): boolean {
  return columns.length === key.size && columns.every((column) => column !== null && key.has(column));
}

export function targetOf({ target }: AppliedLeaf, facts: TargetFacts): Target {
  const quoted = quoteName(target);
  const reach = facts.kind === 'p' ? quoted : `ONLY ${quoted}`;
  return { name: displayName(target), quoted, reach, facts };
}

export function keyIsMissing(leaf: AppliedLeaf): SynclineError {
  const table = displayName(leaf.target);
  return new SynclineError(
    'log.notReady',
    `The log does not hold the key of ${displayName(leaf.source)}: its replica identity has other columns.`,
    { details: { table } },
  );
}
