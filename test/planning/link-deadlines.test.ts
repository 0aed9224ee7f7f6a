import { describe, expect, it } from 'vitest';
import { type Awaited, nextDeadline, overdueOf } from '../../planning/link-deadlines.ts';

const begun = 1_000_000;
const minute = 60_000;
const every: readonly Awaited[] = [
  ...(['checkpoint', 'plan', 'load', 'catchUp', 'complete'] as const),
  ...(['follow', 'drain', 'promote', 'remove'] as const),
];

describe('a deadline', () => {
  it.each(every)('of %s is said when it has passed, and not before', (what) => {
    const underway = [{ what, since: begun }];
    expect(overdueOf(underway, begun + 1)).toBeNull();
    const first = nextDeadline(underway, begun + 1) ?? 0;
    expect(first).toBeGreaterThan(begun);
    expect(overdueOf(underway, first - 1)).toBeNull();
    expect(overdueOf(underway, first)?.message).toMatch(/\d+ (?:s|min)/u);
  });

  it('asks for attention only when it has passed for good', () => {
    const underway = [{ what: 'checkpoint', since: begun } as const];
    expect(overdueOf(underway, begun + minute)?.needsAttention).toBe(false);
    expect(nextDeadline(underway, begun + minute)).toBe(begun + 5 * minute);
    expect(overdueOf(underway, begun + 5 * minute)).toEqual({
      needsAttention: true,
      message:
        'The checkpoint has been under way for 5 min: transactions that were open on the source before it must end first; Pending Activities names them.',
    });
    expect(nextDeadline(underway, begun + 6 * minute)).toBeNull();
  });

  it('of a big chunk never asks for attention: it may honestly take that long', () => {
    expect(overdueOf([{ what: 'load', since: begun }], begun + 10_000 * minute)?.needsAttention).toBe(false);
  });

  it('of a follow counts from the end of the time that it was asked to take', () => {
    const underway = [{ what: 'follow', since: begun, forMs: 5 * minute } as const];
    expect(overdueOf(underway, begun + 5 * minute)).toBeNull();
    expect(nextDeadline(underway, begun)).toBe(begun + 6 * minute);
    expect(overdueOf(underway, begun + 6 * minute)?.needsAttention).toBe(true);
  });

  it('of several says the first, but what asks for attention before it', () => {
    const both = [
      { what: 'load', since: begun },
      { what: 'plan', since: begun + 5 * minute },
    ] as const;
    expect(overdueOf(both, begun + 12 * minute)?.message).toMatch(/^No chunk/u);
    expect(overdueOf(both, begun + 15 * minute)?.message).toMatch(/^A load/u);
  });
});
