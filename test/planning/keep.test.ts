import { describe, expect, it } from 'vitest';
import { backupsToPrune } from '../../planning/keep.ts';

const now = '2026-01-31T00:00:00.000Z';
const daily = Array.from({ length: 10 }, (_, index) => {
  const day = String(31 - index).padStart(2, '0');
  return { backup: `b${day}`, scope: 'full' as const, createdAt: `2026-01-${day}T00:00:00.000Z` };
});

describe('what keep lets go', () => {
  it('is nothing without a rule', () => {
    expect(backupsToPrune(daily, { last: null, days: null, now })).toEqual([]);
  });

  it('is all but the newest so many, oldest first', () => {
    expect(backupsToPrune(daily, { last: 7, days: null, now })).toEqual(['b22', 'b23', 'b24']);
  });

  it('is what is not younger than so many days', () => {
    expect(backupsToPrune(daily, { last: null, days: 8, now })).toEqual(['b22', 'b23']);
  });

  it('is only what neither rule keeps', () => {
    expect(backupsToPrune(daily, { last: 2, days: 8, now })).toEqual(['b22', 'b23']);
    expect(backupsToPrune(daily, { last: 9, days: 1, now })).toEqual(['b22']);
  });

  it('never is the newest', () => {
    expect(backupsToPrune(daily.slice(9), { last: null, days: 1, now })).toEqual([]);
    expect(backupsToPrune(daily.slice(8), { last: 0, days: null, now })).toEqual(['b22']);
  });

  it('never is what a kept window stands on', () => {
    const chain = daily.map((one, index) => ({
      ...one,
      scope: index === 4 ? ('full' as const) : ('window' as const),
    }));
    expect(backupsToPrune(chain, { last: 2, days: null, now })).toEqual(['b22', 'b23', 'b24', 'b25', 'b26']);
    expect(backupsToPrune(chain, { last: 5, days: null, now })).toEqual(['b22', 'b23', 'b24', 'b25', 'b26']);
    expect(backupsToPrune(chain.slice(5), { last: 2, days: null, now })).toEqual(['b22', 'b23', 'b24']);
  });
});
