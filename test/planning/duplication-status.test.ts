import { describe, expect, it } from 'vitest';
import type { LinkStatus } from '../../definitions/contracts/duplication.ts';
import { duplicationStatusOf, type LinkView } from '../../planning/duplication-status.ts';
import { addTotals, noPlan, sumPlans } from '../../planning/link-totals.ts';
import { noTotals } from '../../planning/progress.ts';

function view(target: string, status: Partial<LinkStatus> = {}, units = 1): LinkView {
  return {
    status: {
      ...{ target, phase: 'log', pegasusPhase: 'DS_LOG', state: 'running', generation: 1 },
      ...{ needsAttention: false, reason: null, reasonCode: null, progress: null, ...status },
    },
    totals: { ...noTotals, unitsDone: units, rowsWritten: units * 10 },
    plan: { ...noPlan, units },
    unitsInFlight: 0,
    onFailure: { mode: 'slow', attempts: 30 },
  };
}

const facts = { name: 'live', ended: null, note: null, startedAt: 'then', endedAt: null };
const lagging = (lagMs: number): Partial<LinkStatus> => ({
  progress: {
    ...{ position: `0/${lagMs}`, consistentAt: '0/1', lagMs, lagBytes: lagMs, retainedBytes: 0 },
    ...{ spooledChanges: 0, spooledBytes: 0, transactions: 0, changes: 0, applied: 0, filtered: 0 },
    ...{ deadTransactions: 0, conflicts: 0, bytes: 0, lastPullAt: null, way: null, tables: [], danger: null },
  },
});

describe('the status of a duplication', () => {
  it('is that of the link that lags most, when all follow', () => {
    const status = duplicationStatusOf({ ...facts, links: [view('a', lagging(5)), view('b', lagging(70))] });
    expect(status).toMatchObject({
      phase: 'log',
      lagMs: 70,
      lagBytes: 70,
      position: '0/70',
      consistentAt: '0/1',
    });
    expect(status.links?.map(({ target }) => target)).toEqual(['a', 'b']);
  });

  it.each([
    ['a stop over everything', { state: 'stopped', phase: 'stopped' }, { needsAttention: true }],
    ['attention over a pause', { needsAttention: true }, { state: 'paused', phase: 'paused' }],
    ['a pause over a load', { state: 'paused', phase: 'paused' }, { phase: 'load' }],
    ['a load over the log', { phase: 'load' }, lagging(60_000)],
    ['what is not consistent over what lags', {}, lagging(60_000)],
    ['what lives over what ended', lagging(1), { state: 'removed', phase: 'removed' }],
  ] as [string, Partial<LinkStatus>, Partial<LinkStatus>][])('shows %s', (_, worse, better) => {
    const worst = view('worst', { ...worse, reason: 'mine' }, 7);
    const other = view('other', { ...better, reason: 'not mine' }, 2);
    for (const links of [
      [worst, other],
      [other, worst],
    ]) {
      const status = duplicationStatusOf({ ...facts, links });
      expect(status).toMatchObject({
        reason: 'worst: mine',
        chunks: { total: 7, done: 7 },
        rows: { written: 70 },
      });
    }
  });

  it('names the target only when there are several', () => {
    expect(duplicationStatusOf({ ...facts, links: [view('dr', { reason: 'mine' })] }).reason).toBe('mine');
  });

  it('that ended says how', () => {
    const gone = view('dr', { state: 'removed', phase: 'removed' });
    expect(duplicationStatusOf({ ...facts, links: [gone], ended: 'removed', endedAt: 'now' })).toMatchObject({
      ...{ phase: 'removed', state: 'removed', needsAttention: false, endedAt: 'now' },
    });
    const failed = duplicationStatusOf({ ...facts, links: [view('dr')], ended: 'failed', note: 'It broke.' });
    expect(failed).toMatchObject({ state: 'failed', needsAttention: true, reason: 'It broke.' });
  });
});

describe('loads of one link', () => {
  it('add up', () => {
    const totals = { unitsDone: 1, unitsSkipped: 2, rowsRead: 3, rowsWritten: 4, rowsSkipped: 5, bytes: 6 };
    expect(addTotals(totals, totals)).toEqual({
      ...{ unitsDone: 2, unitsSkipped: 4, rowsRead: 6, rowsWritten: 8, rowsSkipped: 10, bytes: 12 },
    });
    const plan = { units: 1, chunks: 2, bytes: 3, tables: 4 };
    expect(sumPlans(plan, plan)).toEqual({ units: 2, chunks: 4, bytes: 6, tables: 8 });
  });
});
