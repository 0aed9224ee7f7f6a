import type { UnitBatch } from '../definitions/contracts/copy.ts';

/** What grouping needs to know of a unit; `LoadUnit` of stores/spi fits. Ordinals count from 1. */
export interface GroupableUnit {
  readonly ordinal: number;
  /** Ordinal of the first unit of the same chunk. Units of a chunk are consecutive, its `finish` is the last. */
  readonly firstOfChunk: number;
  readonly kind: 'whole' | 'slice' | 'finish';
  /** Estimate; 0 is allowed. */
  readonly bytes: number;
  /** `schema.name`. */
  readonly chunk: string;
  /** 0 for whole and finish. */
  readonly slice: number;
}

export interface GroupingScope {
  /** Units in the whole plan, not in this page: it decides the grain. */
  readonly totalUnits: number;
  /** Most units will be found unchanged, so that a unit costs little and an activity of its own would cost more. */
  readonly mostlyUnchanged?: boolean;
}

/** A plan with fewer units gives each its own activity: the Timeline then shows chunks by name. */
export const unitsWorthGrouping = 500;
export const maxBatchUnits = 500;
export const maxBatchBytes = 64 * 1024 * 1024;
/** No batch crosses a multiple of this ordinal. */
export const blockUnits = 500;

/**
 * Groups units, given in ascending order of ordinals, into batches for one activity each.
 *
 * The answer does not depend on how the units were cut into pages, if each page is given in whole blocks: no batch
 * crosses a multiple of `blockUnits`, and filling is greedy, so it starts afresh at every border of a batch. A caller
 * that pages therefore reads units `after + 1 .. lastOrdinalOfBlock(after + 1)`, where `after` is 0 or the `to` of a
 * batch, groups them, and goes on with the next block until it has enough batches. Of a block's batches it may return
 * the first few only; the `to` of the last one is the next `after`.
 *
 * A gap in the ordinals (dead letters) ends a batch too, so that every ordinal in `from..to` is a unit that was given.
 */
export function groupUnits(units: readonly GroupableUnit[], scope: GroupingScope): UnitBatch[] {
  const limit = unitsPerBatch(scope);
  const batches: UnitBatch[] = [];
  let group: GroupableUnit[] = [];
  let bytes = 0;
  for (const unit of units) {
    if (group.length > 0 && !fits(group, bytes, { unit, limit })) {
      batches.push(batchOf(group, bytes));
      group = [];
      bytes = 0;
    }
    group.push(unit);
    bytes += unit.bytes;
  }
  if (group.length > 0) batches.push(batchOf(group, bytes));
  return batches;
}

/** Last ordinal of the block that `ordinal` is in. */
export function lastOrdinalOfBlock(ordinal: number): number {
  return Math.ceil(ordinal / blockUnits) * blockUnits;
}

/** Batches to share out, at least, when units cost next to nothing: some for each of a few lanes. */
const fewBatches = 16;

/** One for small plans; then so many that a middle-sized plan still has about a hundred batches to share out. */
function unitsPerBatch({ totalUnits, mostlyUnchanged = false }: GroupingScope): number {
  if (mostlyUnchanged) return Math.min(maxBatchUnits, Math.ceil(totalUnits / fewBatches));
  if (totalUnits < unitsWorthGrouping) return 1;
  return Math.min(maxBatchUnits, Math.ceil(totalUnits / 100));
}

interface Candidate {
  readonly unit: GroupableUnit;
  readonly limit: number;
}

function fits(group: readonly GroupableUnit[], bytes: number, { unit, limit }: Candidate): boolean {
  const last = group.at(-1);
  if (last === undefined) return true;
  return (
    last.kind !== 'finish' &&
    unit.kind !== 'finish' &&
    unit.ordinal === last.ordinal + 1 &&
    lastOrdinalOfBlock(last.ordinal) === lastOrdinalOfBlock(unit.ordinal) &&
    group.length < limit &&
    bytes + unit.bytes <= maxBatchBytes
  );
}

function batchOf(group: readonly GroupableUnit[], bytes: number): UnitBatch {
  const first = group[0] as GroupableUnit;
  const last = group.at(-1) ?? first;
  return {
    from: first.ordinal,
    to: last.ordinal,
    kind: first.kind === 'finish' ? 'finish' : 'load',
    units: group.length,
    bytes,
    firstChunk: first.firstOfChunk,
    lastChunk: last.firstOfChunk,
    label: group.length === 1 ? labelOf(first) : `${labelOf(first)} … +${group.length - 1}`,
  };
}

/** `public.trades_20240103`, `public.big#17`, `public.big#finish`. */
function labelOf(unit: GroupableUnit): string {
  if (unit.kind === 'finish') return `${unit.chunk}#finish`;
  return unit.kind === 'slice' ? `${unit.chunk}#${unit.slice}` : unit.chunk;
}
