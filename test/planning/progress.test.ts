import { describe, expect, it } from 'vitest';
import type { WaitingBatch } from '../../definitions/contracts/copy.ts';
import type { ErrorCode } from '../../definitions/errors.ts';
import {
  addResult,
  addSkipped,
  type JobFacts,
  noTotals,
  percentDone,
  statusOf,
  worstTrouble,
} from '../../planning/progress.ts';

const facts: JobFacts = {
  kind: 'copy',
  name: 'j',
  step: 'load',
  paused: false,
  stopped: null,
  ended: null,
  note: null,
  totals: { ...noTotals, unitsDone: 3, rowsRead: 30, rowsWritten: 30, bytes: 300 },
  plan: { units: 10, chunks: 10, bytes: 1_000, tables: 1 },
  unitsInFlight: 2,
  busy: true,
  trouble: null,
  startedAt: '2026-01-01T00:00:00.000Z',
  endedAt: null,
  onFailure: { mode: 'slow', attempts: 30 },
};

const trouble = { code: 'target.constraint', message: 'c: broken', attempts: 1 } as const;

describe('statusOf', () => {
  it('names where the work is while it runs', () => {
    const phases = (['init', 'load', 'finish'] as const).map((step) => statusOf({ ...facts, step }));
    expect(phases.map(({ phase, state }) => [phase, state])).toEqual([
      ['init', 'running'],
      ['load', 'running'],
      ['finish', 'running'],
    ]);
    expect(phases[1]).toMatchObject({
      chunks: { total: 10, done: 3, skipped: 0, inFlight: 2 },
      bytes: 300,
      plannedBytes: 1_000,
      reason: null,
      needsAttention: false,
    });
  });

  it('says paused only when everything has come back', () => {
    expect(statusOf({ ...facts, paused: true }).state).toBe('running');
    expect(statusOf({ ...facts, paused: true, busy: false })).toMatchObject({
      state: 'paused',
      phase: 'paused',
    });
  });

  it('tells of trouble while it lasts, and of what stopped the job', () => {
    expect(statusOf({ ...facts, trouble })).toMatchObject({
      state: 'running',
      needsAttention: true,
      reasonCode: 'target.constraint',
      reason: 'c: broken',
    });
    const stopped = { code: 'store.diskFull', message: 'full' } as const;
    expect(statusOf({ ...facts, stopped, trouble })).toMatchObject({
      state: 'stopped',
      phase: 'stopped',
      needsAttention: true,
      reasonCode: 'store.diskFull',
    });
  });

  it('forgets trouble when it is done or removed, and keeps the reason of a failure', () => {
    expect(statusOf({ ...facts, ended: 'done', trouble })).toMatchObject({
      reason: null,
      needsAttention: false,
    });
    expect(statusOf({ ...facts, ended: 'removed', trouble })).toMatchObject({
      phase: 'removed',
      reasonCode: null,
    });
    expect(statusOf({ ...facts, ended: 'failed', note: 'refused' })).toMatchObject({
      state: 'failed',
      phase: 'load',
      reason: 'refused',
      needsAttention: true,
    });
  });
});

describe('a job that is over with chunks set aside', () => {
  it('needs attention and says how they are loaded', () => {
    const totals = { ...facts.totals, unitsSkipped: 2 };
    expect(statusOf({ ...facts, ended: 'done', totals })).toMatchObject({
      state: 'done',
      needsAttention: true,
      reason: `2 skipped; \`syncline retry ${facts.name}\` tries them again.`,
      reasonCode: null,
    });
  });
});

describe('totals', () => {
  const result = { unitsDone: 2, rowsRead: 20, rowsWritten: 20, bytes: 200, failed: [] };

  it('grow by what was done', () => {
    expect(addResult(noTotals, result, { retry: false })).toEqual({
      ...noTotals,
      unitsDone: 2,
      rowsRead: 20,
      rowsWritten: 20,
      bytes: 200,
    });
    expect(addSkipped(noTotals, { retry: false }).unitsSkipped).toBe(1);
  });

  it('move units from skipped to done in a pass over dead letters, and count a second skip once', () => {
    const before = { ...noTotals, unitsSkipped: 3 };
    expect(addResult(before, result, { retry: true })).toMatchObject({ unitsDone: 2, unitsSkipped: 1 });
    expect(addSkipped(before, { retry: true })).toBe(before);
  });

  it('reach 100 percent only at the end', () => {
    const plan = { units: 1_000, chunks: 1, bytes: 1, tables: 1 };
    expect(percentDone({ ...noTotals, unitsDone: 999 }, plan)).toBe(99);
    expect(percentDone({ ...noTotals, unitsDone: 999, unitsSkipped: 1 }, plan)).toBe(100);
    expect(percentDone(noTotals, null)).toBe(0);
  });
});

describe('worstTrouble', () => {
  const batch = { from: 1, to: 1, kind: 'load', units: 1, bytes: 1, firstChunk: 1, lastChunk: 1 } as const;
  const waiting = (label: string, code: ErrorCode | null, attempts: number): WaitingBatch => ({
    batch: { ...batch, label },
    attempts,
    code,
    message: 'm',
  });

  it('prefers what needs a person, then what was tried most', () => {
    const many = [
      waiting('a', 'store.conflict', 2),
      waiting('b', 'target.constraint', 1),
      waiting('c', 'store.conflict', 9),
      waiting('d', null, 0),
    ];
    expect(worstTrouble(many)).toEqual({ code: 'store.conflict', message: 'c: m', attempts: 9 });
    expect(worstTrouble(many.slice(0, 2))?.message).toBe('b: m');
    expect(worstTrouble(many.slice(3))).toBeNull();
  });
});
