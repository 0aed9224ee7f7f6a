import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BatchPage, UnitBatch } from '../../definitions/contracts/copy.ts';
import { Dispatch, type DispatchStart, type DueBatch } from '../../planning/dispatch.ts';

const nothing: DispatchStart = { cursor: 0, cursorDone: false, waiting: [], skippedSlices: [] };

/** One batch a unit; chunks of so many slices, 0 = whole. */
function batchesOf(chunks: readonly number[]): UnitBatch[] {
  const batches: UnitBatch[] = [];
  for (const slices of chunks) {
    const first = batches.length + 1;
    const add = (kind: UnitBatch['kind']): void => {
      const from = batches.length + 1;
      batches.push({
        from,
        to: from,
        kind,
        units: 1,
        bytes: 1,
        firstChunk: first,
        lastChunk: first,
        label: `u${from}`,
      });
    };
    for (let slice = 0; slice < Math.max(1, slices); slice += 1) add('load');
    if (slices > 0) add('finish');
  }
  return batches;
}

function pageOf(batches: readonly UnitBatch[], after: number, limit: number): BatchPage {
  const page = batches.filter(({ from }) => from > after).slice(0, limit);
  const next = page.at(-1)?.to ?? after;
  return { batches: page, next, end: next >= batches.length };
}

const free = { parallel: 100, holdNew: false };

function takeAll(dispatch: Dispatch, now = 0): number[] {
  const taken: number[] = [];
  for (let next = dispatch.take(now, free); next !== null; next = dispatch.take(now, free)) {
    taken.push(next.item.batch.from);
  }
  return taken;
}

function failing(item: DueBatch, dueAt: number): DueBatch {
  return { ...item, attempts: item.attempts + 1, code: 'store.conflict', message: 'm', dueAt };
}

interface Model {
  dispatch: Dispatch;
  readonly batches: readonly UnitBatch[];
  readonly out: DueBatch[];
  readonly over: Set<number>;
  readonly skipped: Set<number>;
  now: number;
}

/** What may happen to a batch in flight, or to the whole, chosen by `pick`. */
function step(model: Model, pick: number, parallel: number): void {
  const { out } = model;
  model.now += 1;
  const item = out.splice(pick % Math.max(1, out.length), 1)[0];
  const after = model.dispatch.listAfter(parallel);
  if (after !== null) model.dispatch.offer(pageOf(model.batches, after, 1 + (pick % 5)));
  if (item !== undefined) settle(model, item, pick);
  if (pick % 11 === 0 && out.length === 0) renew(model);
  const take = (): ReturnType<Dispatch['take']> =>
    model.dispatch.take(model.now, { parallel, holdNew: pick % 13 === 0 });
  for (let next = take(); next !== null; next = take()) {
    checkTaken(model, next.item.batch, next.doomed !== null);
    out.push(next.item);
    expect(out.length).toBeLessThanOrEqual(parallel);
  }
}

function settle(model: Model, item: DueBatch, pick: number): void {
  const { batch } = item;
  model.dispatch.settle(batch);
  if (pick % 7 === 0) model.dispatch.wait({ ...item, dueAt: model.now });
  else if (pick % 5 === 0) model.dispatch.wait(failing(item, model.now + (pick % 17)));
  else {
    model.over.add(batch.from);
    if (pick % 3 !== 0) return;
    model.skipped.add(batch.from);
    if (batch.kind === 'load') model.dispatch.noteSkipped({ ordinal: batch.from, code: 'target.constraint' });
  }
}

/** Continue-as-new: everything that is not carried is gone. */
function renew(model: Model): void {
  const carried = model.dispatch.carry(model.now);
  const waiting = carried.waiting.map((item) => ({ ...item, dueAt: model.now + (item.dueInMs ?? 0) }));
  model.dispatch = new Dispatch({ ...carried, waiting });
}

function checkTaken(model: Model, batch: UnitBatch, doomed: boolean): void {
  expect(model.over.has(batch.from)).toBe(false);
  expect(model.out.some((other) => other.batch.from === batch.from)).toBe(false);
  if (batch.kind !== 'finish') return;
  const slices = Array.from(
    { length: batch.from - batch.firstChunk },
    (_, index) => batch.firstChunk + index,
  );
  expect(slices.filter((ordinal) => !model.over.has(ordinal))).toEqual([]);
  expect(doomed).toBe(slices.some((ordinal) => model.skipped.has(ordinal)));
}

describe('Dispatch', () => {
  it('hands out everything once, finishes last and doomed rightly, whatever fails, is handed back or renewed', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 6 }), { maxLength: 25 }),
        fc.infiniteStream(fc.nat(10_000)),
        fc.integer({ min: 1, max: 6 }),
        (chunks, picks, parallel) => {
          const batches = batchesOf(chunks);
          const dispatch = new Dispatch(nothing);
          const model: Model = { dispatch, batches, out: [], over: new Set(), skipped: new Set(), now: 0 };
          for (let steps = 0; !model.dispatch.finished; steps += 1) {
            expect(steps).toBeLessThan(20_000);
            step(model, picks.next().value as number, parallel);
          }
          expect(model.over.size).toBe(batches.length);
          expect(model.out).toEqual([]);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('lets later batches pass a finish that must wait', () => {
    const dispatch = new Dispatch(nothing);
    const batches = batchesOf([2, 0, 1]);
    dispatch.offer(pageOf(batches, 0, 50));
    expect(takeAll(dispatch)).toEqual([1, 2, 4, 5]);
    dispatch.settle(batches[0] as UnitBatch);
    expect(takeAll(dispatch)).toEqual([]);
    dispatch.settle(batches[1] as UnitBatch);
    expect(takeAll(dispatch)).toEqual([3]);
  });

  it('takes turns between batches due again and new ones', () => {
    const due = batchesOf([0, 0, 0]).map(
      (batch) => ({ batch, attempts: 3, code: 'store.conflict', message: 'm', dueAt: 0 }) as const,
    );
    const dispatch = new Dispatch({ ...nothing, cursor: 3, waiting: due });
    dispatch.offer(pageOf(batchesOf([0, 0, 0, 0, 0, 0]), 3, 50));
    expect(takeAll(dispatch)).toEqual([1, 4, 2, 5, 3, 6]);
  });

  it('prefers what was handed back untried', () => {
    const [back, ...rest] = batchesOf([0, 0, 0]);
    const waiting = [{ batch: back as UnitBatch, attempts: 0, code: null, message: null, dueAt: 0 }];
    const dispatch = new Dispatch({ ...nothing, cursor: 1, waiting });
    dispatch.offer({ batches: rest, next: 3, end: true });
    expect(takeAll(dispatch)).toEqual([1, 2, 3]);
  });

  it('waits until a batch is due, and says when that is', () => {
    const [batch] = batchesOf([0]);
    const item = {
      batch: batch as UnitBatch,
      attempts: 1,
      code: 'store.conflict',
      message: 'm',
      dueAt: 50,
    } as const;
    const dispatch = new Dispatch({ ...nothing, cursor: 1, cursorDone: true, waiting: [item] });
    expect([takeAll(dispatch, 49), dispatch.nextDue(49)]).toEqual([[], 50]);
    expect(dispatch.carry(20).waiting[0]?.dueInMs).toBe(30);
    expect(dispatch.wake(49, { freshBudget: true })).toBe(1);
    expect(dispatch.take(49, free)?.item.attempts).toBe(0);
  });

  it('takes nothing new while new work is held back', () => {
    const dispatch = new Dispatch(nothing);
    dispatch.offer(pageOf(batchesOf([0, 0]), 0, 50));
    expect(dispatch.take(0, { parallel: 2, holdNew: true })).toBeNull();
  });

  it('remembers at most one skipped slice of the chunk at hand, and none of chunks that are over', () => {
    const batches = batchesOf([3, 0, 0]);
    const dispatch = new Dispatch(nothing);
    dispatch.offer(pageOf(batches, 0, 3));
    takeAll(dispatch);
    for (const batch of batches.slice(0, 3)) {
      dispatch.settle(batch);
      dispatch.noteSkipped({ ordinal: batch.from, code: 'target.constraint' });
    }
    expect(dispatch.carry(0).skippedSlices).toHaveLength(1);
    dispatch.offer(pageOf(batches, 3, 50));
    expect(takeAll(dispatch)).toEqual([4, 5, 6]);
    for (const batch of batches.slice(3)) dispatch.settle(batch);
    expect(dispatch.carry(0).skippedSlices).toEqual([]);
  });
});
