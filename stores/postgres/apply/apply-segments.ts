import { SynclineError } from '../../../definitions/errors.ts';
import { carefulPart } from './apply-careful.ts';
import { mergePart } from './apply-merge.ts';
import { rowsPart } from './apply-rows.ts';
import { replacePart } from './apply-unique.ts';
import type { Segment } from './batch-parts.ts';
import type { Fold, Folded } from './fold.ts';
import { keyedRows } from './keyed-rows.ts';
import type { LaneSession } from './lane-session.ts';
import type { Step } from './message.ts';
import { truncateStep } from './truncate.ts';
import type { Part } from './way.ts';

/** `trusting`: rows are as the log says. `careful`: they need not be, and unique values may move between them. */
export type Manner = 'trusting' | 'careful';

/** The rows of a fold that are a session's own. */
export type OwnRows = (fold: Fold) => Iterable<Folded>;

export interface Applying {
  readonly manner: Manner;
  readonly ownRows: OwnRows;
}

/**
 * Applies segments in their order, in one message, behind a savepoint. Answers how many rows were not as the log says,
 * or null: they were not, and the caller goes back to the savepoint and takes another manner.
 */
export async function applySegments(
  lane: LaneSession,
  segments: readonly Segment[],
  applying: Applying,
): Promise<number | null> {
  const parts = segments
    .map((segment) => partOf(lane, segment, applying))
    .filter(({ steps }) => steps.length > 0);
  if (parts.length === 0) return 0;
  const results = await lane.attempt(parts.flatMap(({ steps }) => steps));
  let conflicts = 0;
  let at = 0;
  for (const part of parts) {
    const found = part.conflicts(results.slice(at, at + part.steps.length));
    if (found === null) return null;
    conflicts += found;
    at += part.steps.length;
  }
  return conflicts;
}

function partOf(lane: LaneSession, segment: Segment, { manner, ownRows }: Applying): Part {
  if (segment.kind === 'truncate') return justDo(truncateStep(segment.route, segment.change));
  if (segment.kind === 'rows') return rowsPart(segment.fold, lane);
  const { fold } = segment;
  const rows = keyedRows(fold, ownRows(fold));
  const shaped = { route: fold.route, kinds: fold.kinds };
  if (
    lane.mayReplace(fold.route) &&
    (manner === 'careful' ? fold.route.hasOtherUniques : lane.mustReplace(fold.route))
  )
    return replacePart(rows, shaped, lane);
  return manner === 'careful' ? carefulPart(rows, shaped, lane) : mergePart(rows, shaped, lane);
}

function justDo(step: Step): Part {
  return { steps: [step], conflicts: () => 0 };
}

/** SQLSTATEs of unique and of exclusion constraints, and of foreign keys. */
const takenValue = new Set(['23505', '23P01']);

/** Whether another manner, or the source's own order, may still bring it in. */
export function isTaken(error: unknown): boolean {
  return error instanceof SynclineError && takenValue.has(error.details.sqlState ?? '');
}

export function isUnreferenced(error: unknown): boolean {
  return error instanceof SynclineError && error.details.sqlState === '23503';
}
