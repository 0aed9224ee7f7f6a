import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dayMs, instantOf } from '../../definitions/contracts/zoned-time.ts';
import { backupIdOf } from '../../planning/backup-id.ts';
import { nextWatermark, resolveWindow, type WindowColumnType } from '../../planning/window.ts';
import type { WindowRule } from '../../definitions/contracts/job.ts';

/**
 * A daily backup of what has come since the last verified one, as the seed runs it at 22:30: clocks that change, runs
 * that are missed, late, doubled or fail, rows that arrive late. Every row must be in exactly one verified backup.
 */

const hourMs = 3_600_000;
const zones = [
  'UTC',
  'Asia/Shanghai',
  'Europe/Berlin',
  'America/New_York',
  'America/Sao_Paulo',
  'America/St_Johns',
  'Australia/Lord_Howe',
  'Africa/Cairo',
];

interface Due {
  /** Days after the first one. */
  readonly day: number;
  /** After the run was due. */
  readonly delayMs: number;
  readonly fate: 'verified' | 'failed' | 'missed' | 'doubled';
  /** A doubled run comes again so much later, after others perhaps. */
  readonly againMs: number;
}

interface Row {
  /** After the first run was due, in milliseconds; negative: before. */
  readonly at: number;
  /** Between what the row says and when it can be seen. */
  readonly lateMs: number;
}

const dues = fc.uniqueArray(
  fc.record<Due>({
    day: fc.integer({ min: 0, max: 12 }),
    delayMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 30 * hourMs })),
    fate: fc.constantFrom('verified', 'verified', 'verified', 'failed', 'missed', 'doubled'),
    againMs: fc.integer({ min: 0, max: 60 * hourMs }),
  }),
  { selector: (due) => due.day, minLength: 1, maxLength: 12 },
);
const rows = fc.array(
  fc.record<Row>({
    at: fc.oneof(
      fc.integer({ min: -3 * dayMs, max: 13 * dayMs }),
      // At the edges: when runs are due, an hour before, at midnight, and between 22:30 and 24:00.
      fc
        .tuple(
          fc.integer({ min: -1, max: 12 }),
          fc.constantFrom(0, -hourMs, hourMs, 1.5 * hourMs),
          fc.oneof(fc.constantFrom(0, 1, -1), fc.integer({ min: -120_000, max: 120_000 })),
        )
        .map(([day, hours, off]) => day * dayMs + hours + off),
    ),
    lateMs: fc.oneof(fc.constant(0), fc.constant(hourMs - 1), fc.integer({ min: 0, max: hourMs - 1 })),
  }),
  { minLength: 1, maxLength: 40 },
);

interface Setting {
  readonly zone: string;
  readonly columnType: WindowColumnType;
  /** Midnight of the first day, on the wall. */
  readonly start: number;
}

/** In wall time an hour may come twice, so what is late by less than an hour may look late by two. */
const lagOf = ({ columnType }: Setting): number => (columnType === 'timestamptz' ? hourMs : 3 * hourMs);

const settings = fc.record<Setting>({
  zone: fc.constantFrom(...zones),
  columnType: fc.constantFrom<WindowColumnType>('timestamptz', 'timestamp', 'date'),
  // Weeks around changes of clocks, and any other.
  start: fc
    .tuple(
      fc.integer({ min: 2005, max: 2030 }),
      fc.constantFrom(2, 3, 5, 9, 10),
      fc.integer({ min: 1, max: 25 }),
    )
    .map(([year, month, day]) => Date.UTC(year, month, day)),
});

interface Run {
  readonly scheduled: number;
  readonly startedAt: number;
  readonly isVerified: boolean;
}

/** One at a time, in the order in which they begin. */
function runsOf({ zone, start }: Setting, all: readonly Due[]): Run[] {
  const runs = all.flatMap(({ day, delayMs, fate, againMs }): Run[] => {
    const scheduled = instantOf(start + day * dayMs + 22.5 * hourMs, zone);
    const run = { scheduled, startedAt: scheduled + delayMs, isVerified: fate !== 'failed' };
    if (fate === 'missed') return [];
    return fate === 'doubled' ? [run, { ...run, startedAt: run.startedAt + againMs }] : [run];
  });
  return runs.sort((one, other) => one.startedAt - other.startedAt);
}

describe('windows from the watermark to an hour before the run was due', () => {
  it('bring every row exactly once, whatever happens to clocks and runs', () => {
    fc.assert(
      fc.property(settings, dues, rows, (setting, all, arriving) => {
        const { zone, columnType, start } = setting;
        const first = instantOf(start + 22.5 * hourMs, zone);
        const literalOf = (instant: number): string => {
          const now: WindowRule = {
            column: 'ts',
            from: { kind: 'relative', days: 0, ms: 0 },
            timezone: zone,
          };
          const time = { scheduledTime: new Date(instant).toISOString(), watermark: null, columnType };
          return resolveWindow(now, time).from ?? '';
        };
        const initial = literalOf(first - 2 * dayMs);
        const rule: WindowRule = {
          column: 'ts',
          from: { kind: 'watermark', initial },
          to: { kind: 'relative', days: 0, ms: -lagOf(setting) },
          timezone: zone,
        };
        const moved = arriving.map((row) => ({
          ts: literalOf(first + row.at),
          seenAt: first + row.at + row.lateMs,
          times: 0,
        }));
        let watermark: string | null = null;
        for (const { scheduled, startedAt, isVerified } of runsOf(setting, all)) {
          const scheduledTime = new Date(scheduled).toISOString();
          const window = resolveWindow(rule, { scheduledTime, watermark, columnType });
          if (!isVerified) continue;
          for (const row of moved) {
            const isIn =
              row.ts >= (window.from ?? '') && row.ts < (window.to ?? '') && row.seenAt <= startedAt;
            if (isIn) row.times += 1;
          }
          const reached = nextWatermark([{ rule, resolved: window }]);
          // As the vault does: forward only.
          if (reached !== null && (watermark === null || reached > watermark)) watermark = reached;
        }
        for (const row of moved) {
          const isDue = row.ts >= initial && row.ts < (watermark ?? '');
          expect(row.times, row.ts).toBe(isDue ? 1 : 0);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('give a doubled run another backup, and a repeated activity the same one', () => {
    fc.assert(
      fc.property(fc.uuid(), fc.uuid(), fc.date({ noInvalidDate: true }), (one, other, due) => {
        const first = { job: 'trades', run: one, scheduledTime: due.toISOString() };
        expect(backupIdOf(first)).toBe(backupIdOf({ ...first }));
        if (one !== other) expect(backupIdOf(first)).not.toBe(backupIdOf({ ...first, run: other }));
      }),
      { numRuns: 200 },
    );
  });
});
