import { describe, expect, it } from 'vitest';
import { bench } from './run-bench.ts';

/** Some minutes each. */
describe('the bench of duplications', () => {
  it("applies the same backlogs as PostgreSQL's own subscription, and reads the lag of a steady load", async () => {
    const result = await bench(
      ...['duplication', '--only', 'syncline,native,distinct,hot,large,lag'],
      ...['--transactions', '101', '--rounds', '1', '--seconds', '1'],
    );
    const measured = { wallSeconds: { median: expect.any(Number) as number } };
    expect(result).toMatchObject({
      bench: 'duplication',
      missing: [],
      distinctVsNative: expect.any(Number) as number,
      hotVsNative: expect.any(Number) as number,
      largeVsNative: expect.any(Number) as number,
      lagP99Ms: expect.any(Number) as number,
      reloadedAfterKill: null,
      apply: {
        distinct: { changes: 1_010, syncline: measured, native: measured },
        hot: { changes: 1_010, syncline: measured, native: measured },
        large: { changes: 1_685, syncline: measured, native: measured },
      },
      lag: { syncline: { rows: 2_000 }, native: { rows: 2_000 } },
    });
    expect(result['peakMemoryMB']).toBeGreaterThan(0);
  });

  it('kills the worker in the middle of a load, and counts what leaves the source twice', async () => {
    const result = await bench(
      ...['duplication', '--only', 'syncline,reload', '--rows', '20000', '--partitions', '20'],
    );
    expect(result).toMatchObject({ distinctVsNative: null, reload: { rows: 20_000, chunks: 20 } });
    expect(result['reloadedAfterKill']).toBeLessThan(0.9);
  });
});
