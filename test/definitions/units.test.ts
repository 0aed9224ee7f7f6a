import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { editDistance, nearest } from '../../definitions/spelling.ts';
import { parseTablePattern } from '../../definitions/table-pattern.ts';
import { bytesPerSecond, durationMs, respell, sizeBytes } from '../../definitions/units.ts';
import { parseRelativeBound } from '../../definitions/window-bound.ts';

describe('durations', () => {
  it.each([
    ['500ms', 500],
    ['30s', 30_000],
    ['5m', 300_000],
    ['2h', 7_200_000],
    ['7d', 604_800_000],
    ['1w', 604_800_000],
    ['1h30m', 5_400_000],
    ['0s', 0],
  ])('%s is %i ms', (text, ms) => {
    expect(durationMs(text)).toBe(ms);
  });

  it.each(['', '5', '5x', 's', '-5s', '1.5h', '30m1h', '1h 30m', '5S', '5s5s', '99999999999999w'])(
    '%j is none',
    (text) => {
      expect(durationMs(text)).toBeNull();
    },
  );

  it('a joined duration is the sum of its parts', () => {
    const hours = fc.integer({ min: 0, max: 1000 });
    fc.assert(
      fc.property(hours, hours, (h, m) => {
        expect(durationMs(`${h}h${m}m`)).toBe(h * 3_600_000 + m * 60_000);
      }),
    );
  });
});

describe('sizes and rates', () => {
  it.each([
    ['1B', 1],
    ['512KB', 512_000],
    ['64MB', 64_000_000],
    ['1.5GB', 1_500_000_000],
    ['1TB', 1e12],
    ['1KiB', 1024],
    ['64MiB', 67_108_864],
    ['1GiB', 1_073_741_824],
  ])('%s is %i bytes', (text, bytes) => {
    expect(sizeBytes(text)).toBe(bytes);
    expect(bytesPerSecond(`${text}/s`)).toBe(bytes);
  });

  it.each(['', '64', 'MB', '64mb', '64 MB', '-1MB', '1e3MB', '64Mb', '.5GB', '99999999TB', 'NaNB'])(
    '%j is none',
    (text) => {
      expect(sizeBytes(text)).toBeNull();
    },
  );

  it('a size is no rate and a rate no size', () => {
    expect([bytesPerSecond('1MB'), sizeBytes('1MB/s')]).toEqual([null, null]);
  });
});

describe('near misses of amounts', () => {
  it.each([
    ['64mb', 'size', '64MB'],
    ['64M', 'size', '64MB'],
    ['64 MB', 'size', '64MB'],
    ['1gib', 'size', '1GiB'],
    ['100MB', 'rate', '100MB/s'],
    ['100mbps', 'rate', '100MB/s'],
    ['30 seconds', 'duration', '30s'],
    ['5min', 'duration', '5m'],
    ['200 millis', 'duration', '200ms'],
    ['30S', 'duration', '30s'],
    ['soon', 'duration', null],
    ['64', 'size', null],
  ] as const)('%s as a %s is respelled %s', (text, kind, spelling) => {
    expect(respell(text, kind)).toBe(spelling);
  });
});

describe('relative window bounds', () => {
  it.each([
    ['now', { kind: 'relative', days: 0, ms: 0 }],
    ['-7d', { kind: 'relative', days: -7, ms: 0 }],
    ['now-7d', { kind: 'relative', days: -7, ms: 0 }],
    ['-2w', { kind: 'relative', days: -14, ms: 0 }],
    ['-12h', { kind: 'relative', days: 0, ms: -43_200_000 }],
    ['-1d12h', { kind: 'relative', days: -1, ms: -43_200_000 }],
    ['+1d', { kind: 'relative', days: 1, ms: 0 }],
    ['today', { kind: 'today', days: 0 }],
    ['today-1d', { kind: 'today', days: -1 }],
    ['today+1w', { kind: 'today', days: 7 }],
    ['watermark', { kind: 'watermark' }],
  ])('%s', (text, bound) => {
    expect(parseRelativeBound(text)).toStrictEqual(bound);
  });

  it.each([
    '',
    '7d',
    '-',
    '-7',
    'today-12h',
    'now-',
    'Today',
    'watermark-1d',
    '-99999999d',
    '--7d',
    'today 1d',
  ])('%j is none', (text) => {
    expect(parseRelativeBound(text)).toBeNull();
  });
});

describe('table patterns', () => {
  it.each([
    ['public.trades', 'public', 'trades', false],
    ['public.*', 'public', '*', true],
    ['"a.b".t', 'a.b', 't', false],
    ['s."say ""hi"""', 's', 'say "hi"', false],
    ['Public.My Table', 'Public', 'My Table', false],
  ])('%s', (text, ...[schema, table, wildcard]) => {
    expect(parseTablePattern(text)).toEqual({ schema, table, wildcard });
  });

  it.each(['trades', 'a.b.c', '.t', 's.', '', 'a"b.c', '"a.b', ' s.t', 's.t ', '"".t'])(
    '%j is none',
    (text) => {
      expect(parseTablePattern(text)).toBeNull();
    },
  );
});

describe('did you mean', () => {
  it('counts a swap of neighbours as one edit', () => {
    expect([editDistance('nmae', 'name'), editDistance('', 'abc'), editDistance('abc', 'abc')]).toEqual([
      1, 3, 0,
    ]);
  });

  it('is a distance: symmetric, and zero only for equal words', () => {
    const word = fc.string({ maxLength: 12 });
    fc.assert(
      fc.property(word, word, (a, b) => {
        expect(editDistance(a, b)).toBe(editDistance(b, a));
        expect(editDistance(a, b) === 0).toBe(a === b);
        expect(editDistance(a, b)).toBeLessThanOrEqual(Math.max(a.length, b.length));
      }),
    );
  });

  it('finds the nearest word, and none that is far', () => {
    expect(nearest('Tabels', ['tables', 'columns'])).toBe('tables');
    expect(nearest('xyz', ['tables', 'columns'])).toBeNull();
  });
});
