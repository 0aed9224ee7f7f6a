import { expect, test } from 'vitest';
import type { BatchLine, LinkState } from '../../../stores/spi/log-target.ts';
import { linkMetricsOf } from '../../../worker/jobs/link-metrics.ts';
import { linkProgress } from '../../support/link-status.ts';

const nowMs = Date.parse('2026-01-01T00:01:00Z');

const state: LinkState = {
  ref: { job: 'trades-live', target: 'dr' },
  slot: 'syncline_1',
  publication: 'syncline_1',
  systemId: '1',
  timeline: 1,
  generation: 1,
  position: '0000000001000000',
  consistentAt: null,
  createdAt: '2026-01-01T00:00:00.000Z',
  appliedCommitAtMs: null,
  totals: {
    ...{ transactions: 40, changes: 1_000, applied: 990, filtered: 10, deadTransactions: 1 },
    ...{ bytes: 250_000, conflicts: 2, spooledChanges: 0, spooledBytes: 0 },
  },
};

function batch(id: number, over: Partial<BatchLine> = {}): BatchLine {
  const hex = (place: number): string => place.toString(16).padStart(16, '0');
  return {
    ...{ id, from: hex(id * 1_000), to: hex((id + 1) * 1_000), transactions: 10, changes: 100, bytes: 5_000 },
    ...{
      startedAtMs: nowMs - 10_000,
      finishedAtMs: nowMs - 9_900,
      lagP50Ms: 50,
      lagP99Ms: 90,
      lagMaxMs: 100,
    },
    ...{ lagging: 0, state: 'finished', code: null },
    ...over,
  };
}

function measured(
  batches: readonly BatchLine[],
  over: { windowMs?: number | null; lagBytes?: number | null } = {},
) {
  const { windowMs = 30_000, lagBytes = 0 } = over;
  const progress = linkProgress({ lagBytes, deadTransactions: 1, conflicts: 2 });
  return linkMetricsOf({ seen: { state, progress }, batches, windowMs, nowMs, failedAttempts: 3 });
}

test('tasks, their cost and their rates are those of the window', () => {
  const slow = batch(2, { finishedAtMs: nowMs - 8_900, lagging: 4, lagMaxMs: 12_000 });
  const skipped = batch(1, { state: 'skipped', code: 'target.constraint' });
  expect(measured([slow, skipped, batch(0)])).toMatchObject({
    ...{ target: 'dr', windowMs: 30_000, finishedTasks: 2, skippedTasks: 1, unfinishedTasks: 0 },
    ...{ finishedTasksPerSecond: 0.1, averageCostMs: 433.3333333333333, maxCostMs: 1_100 },
    ...{ averageGroupSize: 10, transactionsPerSecond: 1, changesPerSecond: 10 },
    ...{ shippedBytesPerSecond: 500, confirmedBytesPerSecond: 100 },
    ...{ lagMaxMs: 12_000, laggingTransactions: 4, failedAttempts: 3 },
    since: '2026-01-01T00:00:00.000Z',
    totals: { transactions: 40, applied: 990, deadTransactions: 1, conflicts: 2 },
  });
});

test('a batch weighs in the lag with its transactions', () => {
  const few = batch(1, { transactions: 1, lagP50Ms: 5_000, lagP99Ms: 9_000 });
  const many = batch(0, { transactions: 999, lagP50Ms: 20, lagP99Ms: 40 });
  expect(measured([few, many])).toMatchObject({ lagP50Ms: 20, lagP99Ms: 40 });
  const late = batch(2, { transactions: 200, lagP50Ms: 5_000, lagP99Ms: 9_000 });
  expect(measured([late, many])).toMatchObject({ lagP50Ms: 20, lagP99Ms: 9_000 });
});

test('what is still to come is reckoned in batches of the usual size', () => {
  expect(measured([batch(1), batch(0)], { lagBytes: 4_500 }).unfinishedTasks).toBe(5);
  expect(measured([], { lagBytes: 4_500 }).unfinishedTasks).toBeNull();
  expect(measured([batch(0)], { lagBytes: null }).unfinishedTasks).toBeNull();
});

test('without a batch there is no cost and no lag, but a rate of nothing', () => {
  expect(measured([])).toMatchObject({
    ...{ finishedTasks: 0, averageCostMs: null, maxCostMs: null, averageGroupSize: null },
    ...{ lagP50Ms: null, lagP99Ms: null, lagMaxMs: null, transactionsPerSecond: 0 },
  });
});

test('since the beginning, the window is as long as batches are remembered', () => {
  const old = batch(0, { startedAtMs: nowMs - 100_000, finishedAtMs: nowMs - 99_000 });
  expect(measured([batch(1), old], { windowMs: null })).toMatchObject({
    windowMs: null,
    transactionsPerSecond: 0.2,
  });
});
