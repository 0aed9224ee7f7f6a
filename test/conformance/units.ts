import { randomUUID } from 'node:crypto';
import { loadUnit, finishUnit, type UnitWork } from '../../activities/copy/load-unit.ts';
import type { LoadRef } from '../../definitions/contracts/copy.ts';
import type { VerifyMode } from '../../definitions/contracts/job.ts';
import type { KeyRange, LoadStrategy, LoadUnit, TablePlan } from '../../stores/spi/chunk-source.ts';
import type { LoadedUnit } from '../../stores/spi/chunk-target.ts';
import { requireCapability, type Store } from '../../stores/spi/store.ts';

export function newRef(job = `job-${randomUUID().slice(0, 8)}`): LoadRef {
  const run = randomUUID();
  return { job, load: `run:${run}`, run, sourceStore: 'source', targetStore: 'target' };
}

export function planOf(
  table: string,
  more: Partial<TablePlan> & { readonly strategy: LoadStrategy },
): TablePlan {
  const name = { schema: 'public', name: table };
  return {
    ordinal: 1,
    source: name,
    target: name,
    columns: ['id', 'v'],
    key: ['id'],
    format: 'binary',
    retyped: [],
    where: null,
    window: null,
    ...more,
  };
}

export function unitOf(leaf: string, more: Partial<LoadUnit> = {}): LoadUnit {
  const name = { schema: 'public', name: leaf };
  return {
    ordinal: 1,
    firstOfChunk: 1,
    kind: 'whole',
    chunk: `public.${leaf}`,
    slice: 0,
    table: 1,
    sourceLeaf: name,
    targetLeaf: name,
    range: null,
    bound: null,
    bytes: 1_000,
    ...more,
  };
}

/** One chunk as `borders.length + 1` slices of `id`, with the unit that completes it when the strategy needs one. */
export function slicesOf(leaf: string, borders: readonly number[], finish: boolean): LoadUnit[] {
  const ends = [null, ...borders.map((border) => [String(border)]), null];
  const slices = ends.slice(0, -1).map((from, index): LoadUnit => {
    const range: KeyRange = { columns: ['id'], from, to: ends[index + 1] ?? null };
    return unitOf(leaf, { ordinal: index + 1, kind: 'slice', slice: index + 1, range });
  });
  return finish
    ? [...slices, unitOf(leaf, { ordinal: slices.length + 1, kind: 'finish', bytes: 0 })]
    : slices;
}

export interface OneUnit {
  readonly source: Store;
  readonly target: Store;
  readonly ref: LoadRef;
  readonly plan: TablePlan;
  readonly unit: LoadUnit;
  readonly verify?: VerifyMode;
  readonly onlyChanged?: boolean;
  readonly signal?: AbortSignal;
  readonly fault?: UnitWork['fault']['reach'];
  readonly attempt?: number;
  readonly onStep?: (step: string) => void;
}

/** One unit through both stores, in the steps of the activity. */
export async function bring(one: OneUnit): Promise<LoadedUnit> {
  const work: UnitWork = {
    ref: one.ref,
    plan: one.plan,
    unit: one.unit,
    source: requireCapability(one.source, 'chunkSource'),
    target: requireCapability(one.target, 'chunkTarget'),
    verify: one.verify ?? 'digest',
    ...(one.onlyChanged === undefined ? {} : { onlyChanged: one.onlyChanged }),
    attempt: one.attempt ?? 1,
    signal: one.signal ?? new AbortController().signal,
    fault: { reach: one.fault ?? (() => Promise.resolve()) },
    progress: { step: one.onStep ?? (() => undefined), bytes: () => undefined },
  };
  return await (one.unit.kind === 'finish' ? finishUnit(work) : loadUnit(work));
}

/** As a plan gets its units: one after the other. */
export async function* inOrder(units: Iterable<LoadUnit>): AsyncGenerator<LoadUnit> {
  yield* await Promise.resolve(units);
}
