import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { UnitBatch } from '../../definitions/contracts/copy.ts';
import {
  blockUnits,
  type GroupableUnit,
  groupUnits,
  lastOrdinalOfBlock,
  maxBatchBytes,
  maxBatchUnits,
} from '../../planning/batches.ts';

/** Chunks of 0 (whole) or more slices, as a plan lists them. */
function planOf(chunks: readonly { slices: number; bytes: number }[]): GroupableUnit[] {
  const units: GroupableUnit[] = [];
  for (const [index, { slices, bytes }] of chunks.entries()) {
    const firstOfChunk = units.length + 1;
    const chunk = `public.c${index + 1}`;
    const add = (kind: GroupableUnit['kind'], slice: number): void => {
      units.push({ ordinal: units.length + 1, firstOfChunk, kind, bytes, chunk, slice });
    };
    if (slices === 0) add('whole', 0);
    for (let slice = 1; slice <= slices; slice += 1) add('slice', slice);
    if (slices > 0) add('finish', 0);
  }
  return units;
}

/** As a ledger pages: whole blocks, the first `limit` batches of them. */
function pageThrough(units: readonly GroupableUnit[], limit: number): UnitBatch[] {
  const all: UnitBatch[] = [];
  let after = 0;
  while (after < units.length) {
    const end = lastOrdinalOfBlock(after + 1);
    const page = groupUnits(units.slice(after, end), { totalUnits: units.length }).slice(0, limit);
    all.push(...page);
    after = page.at(-1)?.to ?? units.length;
  }
  return all;
}

const plans = fc
  .array(
    fc.record({
      slices: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 40 })),
      bytes: fc.integer({ min: 0, max: 9e6 }),
    }),
    { minLength: 1, maxLength: 300 },
  )
  .map((chunks) => planOf([...chunks, ...chunks, ...chunks]));

describe('groupUnits', () => {
  it('shares a small plan out in few batches when most of it is expected to be unchanged', () => {
    const units = planOf(Array.from({ length: 100 }, () => ({ slices: 0, bytes: 1e6 })));
    const looks = groupUnits(units, { totalUnits: 100, mostlyUnchanged: true });
    expect(looks.map((batch) => batch.units)).toEqual([...Array.from({ length: 14 }, () => 7), 2]);
    expect(groupUnits(units, { totalUnits: 100 })).toHaveLength(100);
  });

  it('never puts more bytes into one of these batches than into any other', () => {
    const units = planOf(Array.from({ length: 100 }, () => ({ slices: 0, bytes: maxBatchBytes / 2 })));
    const looks = groupUnits(units, { totalUnits: 100, mostlyUnchanged: true });
    expect(looks.every((batch) => batch.units === 2)).toBe(true);
  });

  it('covers every unit once, in order, within its bounds, and leaves each finish alone', () => {
    fc.assert(
      fc.property(plans, (units) => {
        const batches = groupUnits(units, { totalUnits: units.length });
        let next = 1;
        for (const batch of batches) {
          expect(batch.from).toBe(next);
          next = batch.to + 1;
          expect(batch.units).toBe(batch.to - batch.from + 1);
          expect(batch.units).toBeLessThanOrEqual(maxBatchUnits);
          expect(lastOrdinalOfBlock(batch.from)).toBe(lastOrdinalOfBlock(batch.to));
          if (batch.units > 1) expect(batch.bytes).toBeLessThanOrEqual(maxBatchBytes);
          const kinds = units.slice(batch.from - 1, batch.to).map(({ kind }) => kind);
          expect(kinds.includes('finish')).toBe(batch.kind === 'finish');
          if (batch.kind === 'finish') expect(batch.units).toBe(1);
          expect(batch.firstChunk).toBe(units[batch.from - 1]?.firstOfChunk);
          expect(batch.lastChunk).toBe(units[batch.to - 1]?.firstOfChunk);
        }
        expect(next).toBe(units.length + 1);
      }),
      { numRuns: 50 },
    );
  });

  it('answers the same however the plan is paged', () => {
    fc.assert(
      fc.property(plans, fc.integer({ min: 1, max: 60 }), (units, limit) => {
        expect(pageThrough(units, limit)).toEqual(groupUnits(units, { totalUnits: units.length }));
      }),
      { numRuns: 50 },
    );
  });

  it('gives each unit of a small plan its own batch, with its name', () => {
    const units = planOf([
      { slices: 0, bytes: 1 },
      { slices: 2, bytes: 1 },
    ]);
    expect(groupUnits(units, { totalUnits: 499 }).map(({ label }) => label)).toEqual([
      'public.c1',
      'public.c2#1',
      'public.c2#2',
      'public.c2#finish',
    ]);
  });

  it('names the first of many and counts the rest', () => {
    const units = planOf(Array.from({ length: blockUnits }, () => ({ slices: 0, bytes: 1 })));
    expect(groupUnits(units, { totalUnits: 1_000_000 }).map(({ label }) => label)).toEqual([
      'public.c1 … +499',
    ]);
  });

  it('does not join what is not adjacent', () => {
    const units = planOf(Array.from({ length: 9 }, () => ({ slices: 0, bytes: 1 })));
    const dead = units.filter(({ ordinal }) => ordinal !== 4);
    const batches = groupUnits(dead, { totalUnits: 1_000_000 });
    expect(batches.map(({ from, to }) => [from, to])).toEqual([
      [1, 3],
      [5, 9],
    ]);
  });
});
