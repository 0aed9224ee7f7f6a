import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { restoredRows, type RowFilter, withoutEarlier } from '../../planning/kept-rows.ts';

const all: RowFilter = { window: null, where: null };
const ts = (from: string | null, to: string | null, where: string | null = null): RowFilter => ({
  window: { column: 'ts', from, to },
  where,
});

describe('rows of a backup that a restore brings back', () => {
  it('are all that were kept when nothing less is asked for', () => {
    expect(restoredRows(all, all)).toEqual({ ...all, filteredOnTarget: false });
    expect(restoredRows(ts('b', 'd'), all)).toEqual({ ...ts('b', 'd'), filteredOnTarget: false });
    expect(restoredRows(ts('b', 'd'), ts('a', null))).toEqual({ ...ts('b', 'd'), filteredOnTarget: false });
  });

  it('are left out on the target when less is asked for', () => {
    expect(restoredRows(all, ts('b', null))).toEqual({ ...ts('b', null), filteredOnTarget: true });
    expect(restoredRows(ts('b', 'd'), ts('c', 'e'))).toEqual({ ...ts('c', 'd'), filteredOnTarget: true });
    expect(restoredRows({ window: null, where: 'a -- note' }, { window: null, where: 'b' })).toEqual({
      window: null,
      where: '(a -- note\n) AND (b\n)',
      filteredOnTarget: true,
    });
  });

  it('are no rows when the windows do not meet', () => {
    const rows = restoredRows(ts('b', 'c'), ts('d', 'e'));
    expect(rows?.window?.from).toBe(rows?.window?.to);
  });

  it('are not those of earlier windows that reach into the beginning', () => {
    const rows = { ...ts('b', 'f'), filteredOnTarget: false };
    const earlier = (...spans: [string | null, string][]): RowFilter =>
      withoutEarlier(
        rows,
        spans.map(([from, to]) => ({ column: 'ts', from, to })),
      );
    expect(earlier()).toEqual(rows);
    expect(earlier(['b', 'c'])).toEqual({ ...ts('c', 'f'), filteredOnTarget: true });
    expect(earlier(['c', 'd'], ['a', 'c'])).toEqual({ ...ts('d', 'f'), filteredOnTarget: true });
    expect(earlier([null, 'g'])).toEqual({ ...ts('g', 'g'), filteredOnTarget: true });
    expect(earlier(['c', 'd'])).toEqual(rows);
    expect(earlier(['a', 'b'])).toEqual(rows);
  });

  it('cannot be said when the windows are on different columns', () => {
    expect(
      restoredRows(ts('b', 'c'), { window: { column: 'day', from: 'b', to: null }, where: null }),
    ).toBeNull();
  });

  it('are exactly those in both windows', () => {
    const bound = fc.option(fc.integer({ min: 0, max: 9 }).map(String));
    const ordered = fc
      .tuple(bound, bound)
      .map(([from, to]) => (from !== null && to !== null && to < from ? [to, from] : [from, to]));
    const holds = ({ window }: RowFilter, at: string): boolean =>
      window === null || ((window.from ?? '') <= at && (window.to === null || at < window.to));
    fc.assert(
      fc.property(ordered, ordered, fc.integer({ min: 0, max: 9 }).map(String), (kept, asked, at) => {
        const [one, other] = [ts(kept[0] ?? null, kept[1] ?? null), ts(asked[0] ?? null, asked[1] ?? null)];
        const rows = restoredRows(one, other);
        if (rows === null) throw new Error('the same column was refused');
        expect(holds(rows, at)).toBe(holds(one, at) && holds(other, at));
        if (!rows.filteredOnTarget) expect(holds(rows, at)).toBe(holds(one, at));
      }),
    );
  });
});
