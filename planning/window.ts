import type { LoadMode, WindowBound, WindowRule } from '../definitions/contracts/job.ts';
import {
  dayMs,
  instantOf,
  instantOfPoint,
  parseTimePoint,
  startOfDay,
  wallOf,
  wallOfPoint,
} from '../definitions/contracts/zoned-time.ts';
import { SynclineError } from '../definitions/errors.ts';
import { stableHash } from './stable-hash.ts';

/**
 * Windows in time. Everything counts from the *scheduled* time, so that a late or repeated run means the same
 * rows. Call it from an activity and keep the answer: another version of the zone data may answer differently.
 */

export type WindowColumnType = 'date' | 'timestamp' | 'timestamptz';

export interface WindowContext {
  /** When the run was due, ISO 8601 with offset. */
  readonly scheduledTime: string;
  /** `to` of the latest verified run, as returned here; null before the first. */
  readonly watermark: string | null;
  readonly columnType: WindowColumnType;
}

/**
 * Half-open `[from, to)`, literals of the column's type; null = unbounded. `to` is never before `from`: a run
 * that is older than the watermark gets an empty window, and storing its `to` moves no watermark back.
 */
export interface ResolvedWindow {
  readonly from: string | null;
  readonly to: string | null;
}

/** Throws RangeError when the scheduled time or the watermark is not ISO 8601. */
export function resolveWindow(rule: WindowRule, context: WindowContext): ResolvedWindow {
  const axis = new Axis(context.columnType, rule.timezone);
  const from = rule.from === undefined ? null : positionOf(rule.from, axis, context);
  const end = rule.to === undefined ? null : positionOf(rule.to, axis, context);
  const to = from !== null && end !== null ? Math.max(from, end) : end;
  return { from: from === null ? null : axis.literal(from), to: to === null ? null : axis.literal(to) };
}

/** The column's own scale: instants for `timestamptz`, wall time for `timestamp`, whole days for `date`. */
class Axis {
  readonly columnType: WindowColumnType;
  readonly timezone: string;

  constructor(columnType: WindowColumnType, timezone: string) {
    this.columnType = columnType;
    this.timezone = timezone;
  }

  ofInstant(instant: number): number {
    return this.columnType === 'timestamptz' ? instant : this.#coarse(wallOf(instant, this.timezone));
  }

  ofWall(wall: number): number {
    return this.columnType === 'timestamptz' ? instantOf(wall, this.timezone) : this.#coarse(wall);
  }

  ofText(text: string): number {
    const point = parseTimePoint(text);
    if (point === null) throw new RangeError('A window bound is not ISO 8601.');
    return this.columnType === 'timestamptz'
      ? instantOfPoint(point, this.timezone)
      : this.#coarse(wallOfPoint(point, this.timezone));
  }

  literal(position: number): string {
    const text = new Date(position).toISOString();
    if (this.columnType === 'timestamptz') return text;
    return this.columnType === 'date' ? text.slice(0, 10) : text.slice(0, -1);
  }

  #coarse(wall: number): number {
    return this.columnType === 'date' ? startOfDay(wall) : wall;
  }
}

function positionOf(bound: WindowBound, axis: Axis, context: WindowContext): number | null {
  switch (bound.kind) {
    case 'absolute':
      return axis.ofText(bound.at);
    case 'watermark': {
      const text = context.watermark ?? bound.initial;
      return text === undefined ? null : axis.ofText(text);
    }
    case 'today': {
      const today = startOfDay(wallOf(scheduledInstant(context), axis.timezone));
      return axis.ofWall(today + bound.days * dayMs);
    }
    case 'relative':
      return relativePosition(bound, axis, scheduledInstant(context));
  }
}

function relativePosition(
  bound: { readonly days: number; readonly ms: number },
  axis: Axis,
  scheduled: number,
): number {
  if (bound.days === 0) return axis.ofInstant(scheduled + bound.ms);
  const wall = wallOf(scheduled, axis.timezone) + bound.days * dayMs;
  if (bound.ms === 0) return axis.ofWall(wall);
  return axis.ofInstant(instantOf(wall, axis.timezone) + bound.ms);
}

function scheduledInstant(context: WindowContext): number {
  const point = parseTimePoint(context.scheduledTime);
  if (point === null) throw new RangeError('The scheduled time is not ISO 8601.');
  return instantOfPoint(point, 'UTC');
}

/**
 * What the job's watermark becomes once a run is verified: the `to` of the tables whose window begins at the
 * watermark; null when there is none. One job has one watermark, so these tables must agree: `preflight.refused`.
 */
export function nextWatermark(
  windows: readonly { readonly rule: WindowRule; readonly resolved: ResolvedWindow }[],
): string | null {
  const ends = windows
    .filter(({ rule }) => rule.from?.kind === 'watermark')
    .map(({ resolved }) => resolved.to);
  const [first = null] = ends;
  if (ends.some((end) => end !== first)) {
    throw new SynclineError(
      'preflight.refused',
      'Tables that begin at the watermark must end alike: same `to`, time zone and column type, or one job each.',
    );
  }
  return first;
}

/** Longest identity of a load; it is part of keys in the ledger. */
export const maxLoadIdentityLength = 200;

/**
 * Identity of a load: an `append` with windows is the same load whenever its windows are the same, so repeating
 * adds nothing; everything else is one load per run. `windows` has one entry per table, null without a window.
 */
export function loadIdentity(
  mode: LoadMode,
  windows: readonly (ResolvedWindow | null)[],
  run: string,
): string {
  const present = windows.filter((window) => window !== null);
  if (mode !== 'append' || present.length === 0 || present.length < windows.length) return `run:${run}`;
  const spans = present.map(({ from, to }) => `${from ?? '*'}/${to ?? '*'}`);
  const identity = `window:${[...new Set(spans)].sort().join('+')}`;
  if (identity.length <= maxLoadIdentityLength) return identity;
  const hash = stableHash(identity);
  return `${identity.slice(0, maxLoadIdentityLength - hash.length - 1)}#${hash}`;
}
