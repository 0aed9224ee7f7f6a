import type { WindowBound } from './contracts/job.ts';
import { durationParts } from './units.ts';

export const windowBoundForms =
  'such as `-7d`, `-12h`, `now`, `today`, `today-1d`, `watermark`, `2026-01-31` or `2026-01-31T22:30:00+08:00`';

/** Reads one end of a window, all but absolute dates; null when it is none of these. Days and weeks are calendar ones. */
export function parseRelativeBound(text: string): WindowBound | null {
  if (text === 'watermark') return { kind: 'watermark' };
  const match = /^(now|today)?(?:([+-])(\w+))?$/.exec(text);
  if (match === null || text === '') return null;
  const [, origin, sign, amount] = match;
  const shift = amount === undefined ? { days: 0, ms: 0 } : shiftOf(amount, sign === '-' ? -1 : 1);
  if (shift === null) return null;
  if (origin !== 'today') return { kind: 'relative', ...shift };
  return shift.ms === 0 ? { kind: 'today', days: shift.days } : null;
}

function shiftOf(amount: string, sign: 1 | -1): { days: number; ms: number } | null {
  const parts = durationParts(amount);
  if (parts === null) return null;
  const of = (unit: string): number => parts.get(unit) ?? 0;
  const days = of('w') * 7 + of('d');
  const ms = of('h') * 3_600_000 + of('m') * 60_000 + of('s') * 1000 + of('ms');
  // Beyond 10,000 years nothing is a date; `|| 0` keeps -0 out of payloads.
  if (days > 3_652_500 || ms > 3_652_500 * 86_400_000) return null;
  return { days: sign * days || 0, ms: sign * ms || 0 };
}
