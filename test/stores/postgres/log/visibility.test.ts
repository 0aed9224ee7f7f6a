import { describe, expect, it } from 'vitest';
import { visibilityIn } from '../../../../stores/postgres/log/visibility.ts';
import type { SnapshotMark } from '../../../../stores/spi/rows.ts';

const mark = (snapshot: string): SnapshotMark => ({
  snapshot,
  insertPosition: '0/0',
  systemId: '1',
  timeline: 1,
});
const seen = (snapshot: string, ...xids: bigint[]): boolean[] =>
  xids.map((xid) => visibilityIn(mark(snapshot))(Number(xid & 0xffff_ffffn)));

describe('visibility of a transaction in a snapshot', () => {
  it('is below xmin, or below xmax and not running', () => {
    expect(seen('100:105:100,103', 99n, 100n, 101n, 103n, 104n, 105n, 106n)).toEqual([
      true,
      false,
      true,
      false,
      true,
      false,
      false,
    ]);
    expect(seen('100:100:', 99n, 100n)).toEqual([true, false]);
  });

  it('counts 32 bits around the end of their range', () => {
    const wrap = 1n << 32n;
    const snapshot = `${wrap - 2n}:${wrap + 3n}:${wrap - 2n},${wrap + 1n}`;
    expect(
      seen(snapshot, wrap - 3n, wrap - 2n, wrap - 1n, wrap, wrap + 1n, wrap + 2n, wrap + 3n, wrap + 4n),
    ).toEqual([true, false, true, true, false, true, false, false]);
    expect(seen(`${5n * wrap + 10n}:${5n * wrap + 10n}:`, 5n * wrap - 5n, 5n * wrap + 9n)).toEqual([
      true,
      true,
    ]);
  });

  it('holds two thousand million transactions before and after', () => {
    const xmax = 10n << 32n;
    expect(seen(`${xmax}:${xmax}:`, xmax - (1n << 31n) + 1n, xmax + (1n << 31n) - 1n)).toEqual([true, false]);
  });

  it('of text that is no snapshot is refused', () => {
    expect(() => visibilityIn(mark('nonsense'))).toThrow(/snapshot/);
  });
});
