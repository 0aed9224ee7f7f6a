import { z } from 'zod';
import { instantOfPoint, parseTimePoint } from '../contracts/zoned-time.ts';
import { calendarFieldFault, cronFault } from '../calendar.ts';
import type { CalendarField } from '../calendar.ts';
import { nearest } from '../spelling.ts';
import { duration, refuse, text } from './text.ts';

const knownZones = [...Intl.supportedValuesOf('timeZone'), 'UTC'];

/** IANA name, spelled exactly: a Temporal server on Linux looks it up as a file name. */
export const timezone = z.string().superRefine((value, context) => {
  if (knownZones.includes(value)) return;
  const other = knownZones.find((zone) => zone.toLowerCase() === value.toLowerCase());
  if (other === undefined && /^[A-Z]/.test(value) && isZone(value)) return;
  const near = other ?? nearest(value, knownZones);
  refuse(
    context,
    'expected an IANA time zone such as `Asia/Shanghai` or `UTC`',
    near === null ? null : `did you mean \`${near}\`?`,
  );
});

function isZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** A date, or a date and time with or without offset; stays text until the time zone is known. */
export const timePoint = z.string().superRefine((value, context) => {
  const point = parseTimePoint(value);
  if (point === null) {
    refuse(context, 'expected a date or time such as `2026-01-31` or `2026-01-31T22:30:00+08:00`');
  } else if (point.fractionDigits > 3) {
    refuse(context, 'a time has milliseconds at the finest');
  }
});

const cron = text.superRefine((value, context) => {
  const fault = cronFault(value);
  if (fault !== null) refuse(context, fault.message, fault.hint);
});

const calendarField = (name: CalendarField, description: string) =>
  z
    .union([z.string(), z.int()])
    .transform((value, context) => {
      const fault = calendarFieldFault(String(value), name);
      return fault === null ? String(value) : refuse(context, fault);
    })
    .optional()
    .describe(description);

const calendar = z
  .strictObject({
    second: calendarField('second', 'Seconds, 0 to 59. Without it: 0.'),
    minute: calendarField('minute', 'Minutes, 0 to 59. Without it: 0.'),
    hour: calendarField('hour', 'Hours, 0 to 23. Without it: 0.'),
    dayOfMonth: calendarField('dayOfMonth', 'Days of the month, 1 to 31. Without it: every day.'),
    month: calendarField('month', 'Months, 1 to 12 or `jan` to `dec`. Without it: every month.'),
    year: calendarField('year', 'Years. Without it: every year.'),
    dayOfWeek: calendarField(
      'dayOfWeek',
      'Days of the week, 0 (Sunday) to 6 or `sun` to `sat`. Without it: every day.',
    ),
  })
  .refine((value) => Object.values(value).some((field) => field !== undefined), 'names no field, e.g. `hour`')
  .meta({ title: 'calendar' })
  .describe('When to run, field by field: numbers, `*`, ranges `1-5`, steps `*/15`, lists `1,15`.');

/** Shape of `schedule`. Exactly one of `cron` and `calendar`. */
export const schedule = z
  .strictObject({
    cron: cron
      .optional()
      .describe('When to run: `minute hour day month weekday`, e.g. `30 22 * * *`, or `@daily`, `@hourly`.'),
    calendar: calendar.optional(),
    timezone: timezone
      .default('UTC')
      .describe(
        'IANA time zone of `cron`, `calendar`, `startAt`, `endAt`, and of windows without their own.',
      ),
    startAt: timePoint.optional().describe('No run before this date or time.'),
    endAt: timePoint.optional().describe('No run after this date or time; a date alone includes that day.'),
    overlap: z
      .enum(['skip', 'buffer', 'cancel'])
      .default('skip')
      .describe(
        'When a run is due while one is going: `skip` the new one, `buffer` it until the other ended, or `cancel` the older one.',
      ),
    catchup: duration(10_000, '10s')
      .prefault('1d')
      .describe(
        'After an outage, runs missed by at most this much are made up for; older ones are left out.',
      ),
    paused: z.boolean().default(false).describe('Keep the schedule, but start no run by it.'),
  })
  .superRefine((value, context) => {
    if (value.cron !== undefined && value.calendar !== undefined) {
      refuse(context, 'has both `cron` and `calendar`', 'keep one');
    }
    if (value.cron === undefined && value.calendar === undefined) {
      refuse(context, 'says not when to run', 'add `cron` or `calendar`');
    }
    const start = value.startAt === undefined ? null : parseTimePoint(value.startAt);
    const end = value.endAt === undefined ? null : parseTimePoint(value.endAt);
    if (start === null || end === null) return;
    const ordered = instantOfPoint(start, value.timezone) - instantOfPoint(end, value.timezone);
    if (ordered > 0 || (ordered === 0 && !end.dateOnly)) {
      context.addIssue({ code: 'custom', message: 'must be after `startAt`', path: ['endAt'] });
    }
  })
  .meta({ title: 'schedule' })
  .describe('Run again and again. Without it the job runs when `syncline run` says so.');
