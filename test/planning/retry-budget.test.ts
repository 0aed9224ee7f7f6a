import { describe, expect, it } from 'vitest';
import type { UnitBatch, WaitingBatch } from '../../definitions/contracts/copy.ts';
import type { FailMode, ResolvedFailurePolicy } from '../../definitions/contracts/job.ts';
import { type ErrorCode, errorTable, type RetryDirective } from '../../definitions/errors.ts';
import {
  attemptsOfOneDispatch,
  backoffMs,
  decideFailure,
  halves,
  holdsBackNewWork,
  maxFailing,
  needsAttention,
} from '../../planning/retry-budget.ts';

function policyOf(mode: FailMode, attempts = 3): ResolvedFailurePolicy {
  return { mode, attempts, backoffInitialMs: 1_000, backoffMaxMs: 60_000 };
}

const codes = (Object.keys(errorTable) as ErrorCode[]).filter((code) => code !== 'job.siteDown');

function batchOf(from: number, to: number): UnitBatch {
  const units = to - from + 1;
  return { from, to, kind: 'load', units, bytes: units * 10, firstChunk: from, lastChunk: to, label: 'c' };
}

function waitingFor(code: ErrorCode | null, from = 1, to = from): WaitingBatch {
  return { batch: batchOf(from, to), attempts: 3, code, message: null };
}

describe('decideFailure', () => {
  const early: Record<FailMode, Record<RetryDirective, string>> = {
    slow: { automatic: 'wait', 'after-fix': 'wait', never: 'stop' },
    skip: { automatic: 'wait', 'after-fix': 'skip', never: 'skip' },
    stop: { automatic: 'wait', 'after-fix': 'stop', never: 'stop' },
  };
  const late: Record<FailMode, Record<RetryDirective, string>> = {
    slow: early.slow,
    skip: { automatic: 'skip', 'after-fix': 'skip', never: 'skip' },
    stop: { automatic: 'stop', 'after-fix': 'stop', never: 'stop' },
  };

  it('decides every code under every mode, before and at the end of the budget', () => {
    for (const mode of ['slow', 'skip', 'stop'] as const) {
      for (const code of codes) {
        const { retry } = errorTable[code];
        expect(decideFailure({ code, attempts: 2 }, policyOf(mode)).next).toBe(early[mode][retry]);
        expect(decideFailure({ code, attempts: 3 }, policyOf(mode)).next).toBe(late[mode][retry]);
        expect(decideFailure({ code, attempts: 99 }, policyOf(mode)).next).toBe(late[mode][retry]);
      }
    }
  });

  it('waits for a site that is down under every mode, however often nobody took the work', () => {
    for (const mode of ['slow', 'skip', 'stop'] as const) {
      const decision = decideFailure({ code: 'job.siteDown', attempts: 1_000 }, policyOf(mode));
      expect(decision).toEqual({ next: 'wait', waitMs: 1_000 });
    }
    expect(needsAttention({ code: 'job.siteDown', attempts: 0 })).toBe(true);
  });

  it('waits longer each time, up to the bound', () => {
    const waits = [1, 2, 3, 6, 7, 1_000_000].map((attempts) => backoffMs(attempts, policyOf('slow')));
    expect(waits).toEqual([1_000, 2_000, 4_000, 32_000, 60_000, 60_000]);
  });
});

describe('attemptsOfOneDispatch', () => {
  it('never grants more than the budget has left, nor less than one', () => {
    expect([0, 1, 2, 3, 9].map((made) => attemptsOfOneDispatch(made, policyOf('skip', 4)))).toEqual([
      3, 3, 2, 1, 1,
    ]);
    expect(attemptsOfOneDispatch(1_000, policyOf('slow', 1))).toBe(3);
  });
});

describe('needsAttention', () => {
  it('is for needed fixes at once, and for the rest when quick attempts did not help', () => {
    expect(needsAttention({ code: 'store.permission', attempts: 1 })).toBe(true);
    expect(needsAttention({ code: 'store.conflict', attempts: 2 })).toBe(false);
    expect(needsAttention({ code: 'store.conflict', attempts: 3 })).toBe(true);
  });
});

describe('holdsBackNewWork', () => {
  it('does when as many batches as may run met a server that is down', () => {
    const down = [waitingFor('store.unreachable'), waitingFor('store.unreachable')];
    expect(holdsBackNewWork(down, 2)).toBe(true);
    expect(holdsBackNewWork(down, 3)).toBe(false);
  });

  it('does not for failing chunks or waiting finishes, until there are very many', () => {
    const bad = Array.from({ length: maxFailing - 1 }, () => waitingFor('target.constraint'));
    expect(holdsBackNewWork([...bad, waitingFor(null), waitingFor(null)], 1)).toBe(false);
    expect(holdsBackNewWork([...bad, waitingFor('target.constraint')], 1)).toBe(true);
  });
});

describe('halves', () => {
  it('cover the batch, with one attempt left each', () => {
    const [first, second] = halves(waitingFor('store.conflict', 11, 15));
    expect(first).toMatchObject({
      batch: { from: 11, to: 13, units: 3, bytes: 30 },
      attempts: 2,
      code: null,
    });
    expect(second).toMatchObject({
      batch: { from: 14, to: 15, units: 2, bytes: 20 },
      attempts: 2,
      code: null,
    });
  });

  it('keep a short name however often they are halved', () => {
    const quarter = halves(halves(waitingFor('store.conflict', 1, 8))[1] as WaitingBatch)[1];
    expect(quarter?.batch.label).toBe('c (7–8)');
  });
});
