import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { WindowBound, WindowRule } from '../../definitions/contracts/job.ts';
import { dayMs, instantOf, parseTimePoint, wallOf } from '../../definitions/contracts/zoned-time.ts';
import { loadIdentity, maxLoadIdentityLength, nextWatermark, resolveWindow } from '../../planning/window.ts';
import type { WindowColumnType } from '../../planning/window.ts';

const now: WindowBound = { kind: 'relative', days: 0, ms: 0 };
const today: WindowBound = { kind: 'today', days: 0 };
const back = (days: number, ms = 0): WindowBound => ({ kind: 'relative', days: 0 - days, ms: 0 - ms });
const columnTypes: readonly WindowColumnType[] = ['date', 'timestamp', 'timestamptz'];
// With DST at 02:00, at midnight, of half an hour, by whole days, with odd offsets, and none.
const zones = [
  'UTC',
  'Asia/Shanghai',
  'Europe/Berlin',
  'America/New_York',
  'America/Sao_Paulo',
  'America/St_Johns',
  'Australia/Lord_Howe',
  'Africa/Cairo',
  'Asia/Kathmandu',
  'Pacific/Apia',
];

function rule(timezone: string, from?: WindowBound, to?: WindowBound): WindowRule {
  return { column: 'ts', ...(from && { from }), ...(to && { to }), timezone };
}

function resolve(window: WindowRule, scheduledTime: string, columnType: WindowColumnType) {
  return resolveWindow(window, { scheduledTime, columnType, watermark: null });
}

describe('bounds relative to the scheduled time', () => {
  const scheduled = '2026-01-08T14:30:00Z'; // 22:30 in Shanghai

  it.each([
    ['timestamptz', '2026-01-01T14:30:00.000Z', '2026-01-08T14:30:00.000Z'],
    ['timestamp', '2026-01-01T22:30:00.000', '2026-01-08T22:30:00.000'],
    ['date', '2026-01-01', '2026-01-08'],
  ] as const)('-7d to now on a %s column is written in its own literals', (columnType, from, to) => {
    const window = resolve(rule('Asia/Shanghai', back(7), now), scheduled, columnType);
    expect(window).toEqual({ from, to });
  });

  it('today-1d to today is the whole day before, in the zone of the window', () => {
    const window = rule('Asia/Shanghai', { kind: 'today', days: -1 }, today);
    expect(resolve(window, scheduled, 'timestamptz')).toEqual({
      from: '2026-01-06T16:00:00.000Z',
      to: '2026-01-07T16:00:00.000Z',
    });
    expect(resolve(window, scheduled, 'date')).toEqual({ from: '2026-01-07', to: '2026-01-08' });
  });

  it('an absent end is unbounded', () => {
    expect(resolve(rule('UTC', undefined, now), scheduled, 'date')).toEqual({ from: null, to: '2026-01-08' });
    expect(resolve(rule('UTC', back(1)), scheduled, 'date')).toEqual({ from: '2026-01-07', to: null });
  });

  it('the scheduled time may carry an offset and nanoseconds', () => {
    const window = resolve(rule('UTC', undefined, now), '2026-01-08T22:30:00.123456789+08:00', 'timestamptz');
    expect(window.to).toBe('2026-01-08T14:30:00.123Z');
  });

  it('a scheduled time that is no time is an error', () => {
    expect(() => resolve(rule('UTC', back(1), now), 'yesterday', 'date')).toThrow(RangeError);
  });
});

describe('daylight saving time', () => {
  it('a calendar day back over the change keeps the time of day, hours back do not', () => {
    const scheduled = '2026-03-29T20:30:00Z'; // 22:30 in Berlin, summer time since 01:00Z
    expect(resolve(rule('Europe/Berlin', back(1), now), scheduled, 'timestamptz').from).toBe(
      '2026-03-28T21:30:00.000Z',
    );
    expect(resolve(rule('Europe/Berlin', back(0, dayMs), now), scheduled, 'timestamptz').from).toBe(
      '2026-03-28T20:30:00.000Z',
    );
  });

  it('the days of a change have 23 and 25 hours', () => {
    const window = rule('Europe/Berlin', { kind: 'today', days: -1 }, today);
    const hours = (scheduled: string): number => {
      const { from, to } = resolve(window, scheduled, 'timestamptz');
      return (Date.parse(to ?? '') - Date.parse(from ?? '')) / 3_600_000;
    };
    expect([hours('2026-03-30T10:00:00Z'), hours('2026-10-26T10:00:00Z')]).toEqual([23, 25]);
  });

  it('a day whose midnight is skipped begins when the clock jumps', () => {
    // In Sao Paulo, 2018-11-04 began at 01:00.
    expect(resolve(rule('America/Sao_Paulo', today), '2018-11-04T15:00:00Z', 'timestamptz').from).toBe(
      '2018-11-04T03:00:00.000Z',
    );
  });

  it('a reading that the clock shows twice means its first time', () => {
    const at: WindowBound = { kind: 'absolute', at: '2026-10-25T02:30:00' };
    expect(resolve(rule('Europe/Berlin', at), '2026-11-01T00:00:00Z', 'timestamptz').from).toBe(
      '2026-10-25T00:30:00.000Z',
    );
  });

  it('a day that a zone left out altogether begins with the next one', () => {
    const at: WindowBound = { kind: 'absolute', at: '2011-12-30' };
    expect(resolve(rule('Pacific/Apia', at), '2012-01-05T00:00:00Z', 'timestamptz').from).toBe(
      '2011-12-30T10:00:00.000Z',
    );
  });
});

describe('absolute bounds and the watermark', () => {
  const scheduled = '2026-06-01T00:00:00Z';

  it.each([
    ['2026-01-01', 'timestamptz', '2025-12-31T16:00:00.000Z'],
    ['2026-01-01', 'timestamp', '2026-01-01T00:00:00.000'],
    ['2026-01-01T12:00Z', 'timestamp', '2026-01-01T20:00:00.000'],
    ['2026-01-01T23:00Z', 'date', '2026-01-02'],
    ['2026-01-01 08:00:00.5+09:00', 'timestamptz', '2025-12-31T23:00:00.500Z'],
  ] as const)('%s on a %s column is %s', (at, columnType, literal) => {
    const window = rule('Asia/Shanghai', { kind: 'absolute', at });
    expect(resolve(window, scheduled, columnType).from).toBe(literal);
  });

  it('before the first verified run the watermark is its initial value, or unbounded', () => {
    const first = rule('UTC', { kind: 'watermark', initial: '2026-01-01' }, now);
    const context = { scheduledTime: scheduled, columnType: 'date' } as const;
    expect(resolve(first, scheduled, 'date').from).toBe('2026-01-01');
    expect(resolve(rule('UTC', { kind: 'watermark' }, now), scheduled, 'date').from).toBeNull();
    expect(resolveWindow(first, { ...context, watermark: '2026-05-01' }).from).toBe('2026-05-01');
  });

  it('a run older than the watermark is empty and moves nothing back', () => {
    const window = rule('UTC', { kind: 'watermark' }, now);
    const context = { scheduledTime: '2026-05-01T00:00:00Z', watermark: '2026-06-01T00:00:00.000Z' };
    expect(resolveWindow(window, { ...context, columnType: 'timestamptz' })).toEqual({
      from: '2026-06-01T00:00:00.000Z',
      to: '2026-06-01T00:00:00.000Z',
    });
  });

  it('the next watermark is the common end of the tables that begin at it', () => {
    const begins = rule('UTC', { kind: 'watermark' }, now);
    const other = { rule: rule('UTC', back(7), now), resolved: { from: '2026-01-01', to: '2026-01-08' } };
    const one = { rule: begins, resolved: { from: null, to: '2026-01-09' } };
    expect(nextWatermark([other])).toBeNull();
    expect(nextWatermark([other, one, one])).toBe('2026-01-09');
    const differing = { rule: begins, resolved: { from: null, to: '2026-01-09T10:00:00.000Z' } };
    expect(() => nextWatermark([one, differing])).toThrow('must end alike');
  });
});

const anyZone = fc.constantFrom(...zones);
const anyInstant = fc.integer({ min: Date.UTC(1990, 0, 1), max: Date.UTC(2037, 0, 1) });
// Near changes of the clock, where the mistakes are: minutes around random hours of change months.
const nearChange = fc
  .tuple(
    fc.integer({ min: 2000, max: 2030 }),
    fc.constantFrom(2, 3, 9, 10),
    fc.integer({ min: 0, max: 46_080 }),
  )
  .map(([year, month, minutes]) => Date.UTC(year, month, 0) + minutes * 60_000);
const anyClock = fc.oneof(anyInstant, nearChange);
const text = (instant: number): string => new Date(instant).toISOString();

describe('properties', () => {
  it('windows from the watermark tile time: no gap, no overlap, whatever the clocks, zones and repeats', () => {
    const runs = fc.array(anyClock, { minLength: 1, maxLength: 12 });
    const rules = fc
      .tuple(anyZone, fc.constantFrom(now, today))
      .map(([zone, to]) => rule(zone, { kind: 'watermark', initial: '1980-01-01' }, to));
    fc.assert(
      fc.property(runs, rules, fc.constantFrom(...columnTypes), (clocks, begins, columnType) => {
        let watermark: string | null = null;
        let end = resolve(begins, text(0), columnType).from ?? '';
        for (const clock of clocks) {
          const context = { scheduledTime: text(clock), watermark, columnType };
          const window = resolveWindow(begins, context);
          expect(window.from).toBe(end);
          expect((window.to ?? '') >= end).toBe(true);
          // Repeated before it was verified: the same rows.
          expect(resolveWindow(begins, context)).toEqual(window);
          end = window.to ?? '';
          watermark = end;
        }
        // All up to the latest run is covered.
        const reached = resolve(begins, text(Math.max(...clocks)), columnType).to ?? '';
        expect(end >= reached).toBe(true);
      }),
    );
  });

  it('today-1d to today tiles the days of any zone, for any hour of the runs', () => {
    const runs = fc.record({ start: nearChange, hour: fc.integer({ min: 0, max: 23 }), zone: anyZone });
    fc.assert(
      fc.property(runs, fc.constantFrom(...columnTypes), ({ start, hour, zone }, columnType) => {
        const window = rule(zone, { kind: 'today', days: -1 }, today);
        const firstRun = Math.floor(wallOf(start, zone) / dayMs) * dayMs + hour * 3_600_000;
        const at = (day: number) =>
          resolve(window, text(instantOf(firstRun + day * dayMs, zone)), columnType);
        for (let day = 0; day < 4; day += 1) expect(at(day + 1).from).toBe(at(day).to);
      }),
    );
  });

  it('an instant and its reading on the wall are one to one, except where a clock repeats itself', () => {
    fc.assert(
      fc.property(anyClock, anyZone, (instant, zone) => {
        const again = instantOf(wallOf(instant, zone), zone);
        expect(wallOf(again, zone)).toBe(wallOf(instant, zone));
        expect(again).toBeLessThanOrEqual(instant);
        expect(instant - again).toBeLessThanOrEqual(dayMs);
      }),
    );
  });

  it('a later reading is never an earlier instant', () => {
    fc.assert(
      fc.property(nearChange, fc.integer({ min: 0, max: 2 * dayMs }), anyZone, (wall, later, zone) => {
        expect(instantOf(wall + later, zone)).toBeGreaterThanOrEqual(instantOf(wall, zone));
      }),
    );
  });

  it('a skipped reading is the first instant that shows more', () => {
    fc.assert(
      fc.property(nearChange, anyZone, (wall, zone) => {
        const instant = instantOf(wall, zone);
        expect(wallOf(instant, zone)).toBeGreaterThanOrEqual(wall);
        expect(wallOf(instant - 1, zone) < wall || wallOf(instant, zone) === wall).toBe(true);
      }),
    );
  });
});

describe('time points', () => {
  it.each([
    '2026-02-30',
    '2026-13-01',
    '2026-1-1',
    '20260101',
    '2026-01-01T24:00',
    '2026-01-01T1',
    '',
    'now',
  ])('%j is none', (written) => {
    expect(parseTimePoint(written)).toBeNull();
  });
});

describe('identity of a load', () => {
  const nightly = { from: '2026-01-01', to: '2026-01-08' };

  it('is the window for an append, so that a repeated window is the same load', () => {
    expect(loadIdentity('append', [nightly], 'r1')).toBe('window:2026-01-01/2026-01-08');
    expect(loadIdentity('append', [nightly, nightly], 'r2')).toBe('window:2026-01-01/2026-01-08');
    expect(loadIdentity('append', [{ from: null, to: '2026-01-08' }], 'r1')).toBe('window:*/2026-01-08');
  });

  it('is the run without a window, with a table that has none, and in the other modes', () => {
    expect(loadIdentity('append', [], 'r1')).toBe('run:r1');
    expect(loadIdentity('append', [null], 'r1')).toBe('run:r1');
    expect(loadIdentity('append', [nightly, null], 'r1')).toBe('run:r1');
    expect(loadIdentity('replace', [nightly], 'r1')).toBe('run:r1');
    expect(loadIdentity('upsert', [nightly], 'r1')).toBe('run:r1');
  });

  it('does not depend on the order of tables', () => {
    const other = { from: '2026-01-01', to: null };
    expect(loadIdentity('append', [nightly, other], 'r')).toBe(loadIdentity('append', [other, nightly], 'r'));
  });

  it('stays short and distinct with many windows', () => {
    const many = (first: number) =>
      Array.from({ length: 50 }, (_, day) => ({
        from: text((first + day) * dayMs),
        to: text((first + day + 1) * dayMs),
      }));
    const one = loadIdentity('append', many(0), 'r');
    const changed = loadIdentity('append', [...many(0).slice(0, -1), { from: text(0), to: null }], 'r');
    expect(one.length).toBe(maxLoadIdentityLength);
    expect(one).toMatch(/#[0-9a-f]{16}$/);
    expect(changed).not.toBe(one);
    expect(loadIdentity('append', many(0), 'other')).toBe(one);
  });
});
