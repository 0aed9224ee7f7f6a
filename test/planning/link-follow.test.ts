import { describe, expect, it } from 'vitest';
import type { FailMode } from '../../definitions/contracts/job.ts';
import type { ErrorCode } from '../../definitions/errors.ts';
import {
  decideFollowFailure,
  firstWatchMs,
  followForMs,
  isLogLost,
  nextWatchMs,
  pauseBeforeFollowMs,
} from '../../planning/link-follow.ts';

function decided(code: ErrorCode, mode: FailMode, attempts = 1): string {
  const policy = { mode, attempts: 3, backoffInitialMs: 100, backoffMaxMs: 1_000 };
  return decideFollowFailure({ code, attempts }, policy).next;
}

describe('a log that cannot be followed', () => {
  it.each(['log.slotLost', 'log.gap', 'log.otherTimeline'] as const)(
    'for %s is loaded again by itself under slow only',
    (code) => {
      expect([decided(code, 'slow'), decided(code, 'skip'), decided(code, 'stop')]).toEqual([
        'again',
        'stop',
        'stop',
      ]);
      expect(isLogLost(code)).toBe(true);
    },
  );

  it('for its retention stops under every mode: loading again would only meet the limit again', () => {
    for (const mode of ['slow', 'skip', 'stop'] as const)
      expect(decided('log.retentionExceeded', mode)).toBe('stop');
    expect(isLogLost('log.retentionExceeded')).toBe(true);
  });

  it('for a server that is away waits, for ever under slow, and under the others until the attempts are used up', () => {
    expect(decided('store.unreachable', 'slow', 99)).toBe('wait');
    expect(decided('store.unreachable', 'stop', 2)).toBe('wait');
    expect(decided('store.unreachable', 'stop', 3)).toBe('stop');
    expect(decided('store.unreachable', 'skip', 3)).toBe('stop');
    expect(isLogLost('store.unreachable')).toBe(false);
  });

  it('for a changed schema waits for the fix under slow', () => {
    expect(decided('log.schemaChanged', 'slow')).toBe('wait');
    expect(decided('log.schemaChanged', 'skip')).toBe('stop');
  });
});

describe('how long a follow may last', () => {
  it('grows while nothing changes, less far while something is being loaded', () => {
    const steady = [0, 1, 2, 3, 4, 5, 50].map((quiet) => followForMs(quiet, { loading: false }));
    expect(steady).toEqual([15_000, 30_000, 60_000, 120_000, 240_000, 300_000, 300_000]);
    expect(followForMs(50, { loading: true })).toBe(60_000);
  });

  it('is followed by a pause only when it ended at once again and again', () => {
    expect([0, 1, 2, 3, 4, 5].map(pauseBeforeFollowMs)).toEqual([0, 0, 0, 500, 1_000, 2_000]);
    expect(pauseBeforeFollowMs(100)).toBe(30_000);
  });
});

describe('the watch over what nobody follows', () => {
  const limit = 1_000_000;
  const next = (before: number | null, now: number | null, intervalMs = firstWatchMs): number =>
    nextWatchMs({ retainedBytes: before, intervalMs }, { retainedBytes: now }, limit);

  it('looks again soon when it does not know', () => {
    expect([next(null, 10), next(10, null)]).toEqual([firstWatchMs, firstWatchMs]);
  });

  it('looks less and less often while nothing grows, at most every ten minutes', () => {
    expect([next(10, 10), next(10, 10, 60_000), next(10, 5, 600_000)]).toEqual([60_000, 120_000, 600_000]);
  });

  it('looks several times before the limit could be reached', () => {
    // 100,000 bytes in two minutes: eight more minutes to the limit of which 200,000 are used.
    expect(next(100_000, 200_000, 120_000)).toBe(240_000);
    // 300,000 in two minutes, and 200,000 are left: 80 s.
    expect(next(500_000, 800_000, 120_000)).toBe(firstWatchMs);
    expect(next(500_000, 2_000_000, 120_000)).toBe(firstWatchMs);
  });
});
