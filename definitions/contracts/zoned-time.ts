/**
 * Calendar arithmetic in a time zone, on plain numbers. It lives with the contracts because both resolving
 * (`schedule.startAt`) and planning (windows) need it, and it reaches nothing but Intl.
 *
 * An *instant* is milliseconds since 1970 UTC. A *wall* is what a clock on the wall shows, as the milliseconds
 * that the same reading would have in UTC. `wallOf` is exact; a wall that a clock shows twice means its first
 * time, one that it skips means the moment it skipped, so `instantOf` never goes backwards.
 */

export const dayMs = 86_400_000;

const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(timezone: string): Intl.DateTimeFormat {
  const known = formats.get(timezone);
  if (known !== undefined) return known;
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: timezone,
    calendar: 'gregory',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  });
  formats.set(timezone, format);
  return format;
}

/** What the clock of `timezone` shows at an instant. Throws RangeError for an unknown zone. */
export function wallOf(instant: number, timezone: string): number {
  const seconds = Math.floor(instant / 1000);
  const shown: Record<string, string> = {};
  for (const part of formatOf(timezone).formatToParts(seconds * 1000)) shown[part.type] = part.value;
  const year = (shown['year'] ?? '').padStart(4, '0');
  const date = `${year}-${shown['month'] ?? ''}-${shown['day'] ?? ''}`;
  const time = `${shown['hour'] ?? ''}:${shown['minute'] ?? ''}:${shown['second'] ?? ''}`;
  return Date.parse(`${date}T${time}Z`) + (instant - seconds * 1000);
}

/** The first instant at which the clock of `timezone` shows `wall` or, where it skips `wall`, more than it. */
export function instantOf(wall: number, timezone: string): number {
  const offsetAt = (instant: number): number => wallOf(instant, timezone) - instant;
  // No zone changes its offset twice within two days, so these two are all that can apply.
  const before = offsetAt(wall - dayMs);
  const after = offsetAt(wall + dayMs);
  const matches = [wall - before, wall - after].filter((instant) => wallOf(instant, timezone) === wall);
  if (matches.length > 0) return Math.min(...matches);
  let low = wall - Math.max(before, after);
  let high = wall - Math.min(before, after);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (wallOf(middle, timezone) >= wall) high = middle;
    else low = middle;
  }
  return high;
}

export interface TimePoint {
  /** The reading as written, in its own offset or in no zone. */
  readonly wall: number;
  /** Milliseconds east of UTC; null when none was written. */
  readonly offsetMs: number | null;
  readonly dateOnly: boolean;
  readonly fractionDigits: number;
}

const iso =
  /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?(Z|[+-]\d{2}(?::?\d{2})?)?)?$/;

/** Reads `2026-01-01`, `2026-01-01T22:30`, `2026-01-01 22:30:00.5+08:00`; null for anything else. Milliseconds at best. */
export function parseTimePoint(text: string): TimePoint | null {
  const match = iso.exec(text);
  if (match === null) return null;
  const [, date = '', minutes = '00:00', seconds = '00', fraction = '', offset] = match;
  const canonical = `${date}T${minutes}:${seconds}.${fraction.slice(0, 3).padEnd(3, '0')}Z`;
  const wall = Date.parse(canonical);
  // Date.parse accepts the 30th of February.
  if (Number.isNaN(wall) || new Date(wall).toISOString() !== canonical) return null;
  const offsetMs = offset === undefined ? null : offsetOf(offset);
  if (offsetMs !== null && Math.abs(offsetMs) > 18 * 3_600_000) return null;
  return { wall, offsetMs, dateOnly: match[2] === undefined, fractionDigits: fraction.length };
}

function offsetOf(text: string): number {
  if (text === 'Z') return 0;
  const digits = text.slice(1).replace(':', '').padEnd(4, '0');
  const minutes = Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2));
  return (text.startsWith('-') ? -minutes : minutes) * 60_000;
}

/** A point without offset is read on the clock of `timezone`. */
export function instantOfPoint(point: TimePoint, timezone: string): number {
  return point.offsetMs === null ? instantOf(point.wall, timezone) : point.wall - point.offsetMs;
}

export function wallOfPoint(point: TimePoint, timezone: string): number {
  return point.offsetMs === null ? point.wall : wallOf(point.wall - point.offsetMs, timezone);
}

export function startOfDay(wall: number): number {
  return Math.floor(wall / dayMs) * dayMs;
}
