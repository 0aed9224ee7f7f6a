import { z } from 'zod';
import type { WindowBound } from '../contracts/job.ts';
import { parseTimePoint } from '../contracts/zoned-time.ts';
import { parseRelativeBound, windowBoundForms } from '../window-bound.ts';
import { refuse, text } from './text.ts';
import { timePoint, timezone } from './time.ts';

const boundText = z.string().transform((value, context): WindowBound => {
  const relative = parseRelativeBound(value);
  if (relative !== null) return relative;
  const point = parseTimePoint(value);
  if (point === null) {
    const hint = value.startsWith('today') ? '`today` takes whole days, e.g. `today-1d`' : null;
    return refuse(context, `expected a time ${windowBoundForms}`, hint);
  }
  if (point.fractionDigits > 3) return refuse(context, 'a time has milliseconds at the finest');
  return { kind: 'absolute', at: value };
});

const boundWithInitial = z
  .strictObject({ watermark: timePoint.describe('Where the first run begins.') })
  .transform(({ watermark }): WindowBound => ({ kind: 'watermark', initial: watermark }));

const bound = z.union([boundText, boundWithInitial]);

/** Shape of `window`: half-open, `from` inclusive, `to` exclusive. */
export const window = z
  .strictObject({
    column: text.describe('Column of type date, timestamp or timestamptz that the window is on.'),
    from: bound
      .optional()
      .describe(
        'First time included. `-7d` counts calendar days back from the scheduled time, `-12h` exact hours; ' +
          '`today` is the midnight that began the scheduled day, `today-1d` the one before; `watermark` is where the last ' +
          'verified run ended, `{ watermark: 2026-01-01 }` says where the first one begins; or a date or time. ' +
          'Without it: no lower end.',
      ),
    to: bound.optional().describe('First time not included, in the same forms. Without it: no upper end.'),
    timezone: timezone
      .optional()
      .describe(
        'IANA time zone of days and of times without offset. Without it: that of `schedule`, else UTC.',
      ),
  })
  .superRefine((value, context) => {
    const { from, to } = value;
    const add = (path: string[], message: string, hint: string | null = null): void =>
      context.addIssue({ code: 'custom', message, path, params: { hint } });
    if (from === undefined && to === undefined) add([], 'has neither `from` nor `to`');
    if (to?.kind === 'watermark')
      add(['to'], 'a window begins at the watermark; it cannot end there', 'write `now`');
    if (from?.kind === 'watermark' && to === undefined) {
      add(['from'], 'the watermark moves to where a run ended, so `to` is needed', 'add `to: now`');
    }
    if (isBackward(from, to)) add(['to'], 'must be after `from`');
  })
  .meta({ title: 'window' });

/** Only for ends that can be compared without knowing the run. */
function isBackward(from: WindowBound | undefined, to: WindowBound | undefined): boolean {
  if (from === undefined || to === undefined) return false;
  if (from.kind === 'relative' && to.kind === 'relative') {
    return from.days * 86_400_000 + from.ms >= to.days * 86_400_000 + to.ms;
  }
  if (from.kind === 'today' && to.kind === 'today') return from.days >= to.days;
  if (from.kind !== 'absolute' || to.kind !== 'absolute') return false;
  const start = parseTimePoint(from.at);
  const end = parseTimePoint(to.at);
  if (start === null || end === null || (start.offsetMs === null) !== (end.offsetMs === null)) return false;
  return start.wall - (start.offsetMs ?? 0) >= end.wall - (end.offsetMs ?? 0);
}
