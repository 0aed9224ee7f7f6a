import type { LogChange } from '../../spi/log.ts';
import { applySegments, isTaken, isUnreferenced, type OwnRows } from './apply-segments.ts';
import { type Cutting, type Segment, segmentsOf } from './batch-parts.ts';
import type { LaneSession } from './lane-session.ts';
import { SynclineError } from '../../../definitions/errors.ts';

export interface LaneBatch {
  readonly changes: readonly LogChange[];
  readonly cut: Omit<Cutting, 'within'>;
  readonly ownRows: OwnRows;
  /** Only of the first lane: what is not spread by keys. */
  readonly isFirst: boolean;
  /** The catalogue of the target is looked at again. */
  refresh(): Promise<void>;
}

/** Segments of one message at most, where there are as many as transactions. */
const segmentsAtOnce = 200;

/**
 * The ways to bring changes in, from the fastest to the surest: trusting the log; taking rows as they are, and those of
 * tables with other unique constraints out before they come in; last, transaction by transaction, as the source did
 * it. Answers how many rows were not as the log says.
 */
export async function applyBatch(
  lane: LaneSession,
  segments: readonly Segment[],
  batch: LaneBatch,
): Promise<number> {
  const own = (list: readonly Segment[]): readonly Segment[] =>
    batch.isFirst ? list : list.filter(({ kind }) => kind === 'keyed');
  const { ownRows } = batch;
  const trusted = await tried(lane, () =>
    applySegments(lane, own(segments), { manner: 'trusting', ownRows }),
  );
  if (typeof trusted === 'number') return trusted;
  await batch.refresh();
  const cut = (within: Cutting['within']): readonly Segment[] =>
    own(segmentsOf(batch.changes, { ...batch.cut, within }));
  if (trusted !== 'unreferenced') {
    const careful = await tried(lane, () =>
      applySegments(lane, cut('batch'), { manner: 'careful', ownRows }),
    );
    if (typeof careful === 'number') return careful;
  }
  return await inOrder(lane, cut(lane.isReplica ? 'tables' : 'changes'), ownRows);
}

/** What was done is undone when rows were not as expected, or took values that others have. */
async function tried(
  lane: LaneSession,
  work: () => Promise<number | null>,
): Promise<number | 'differs' | 'taken' | 'unreferenced'> {
  let why: 'differs' | 'taken' | 'unreferenced' = 'differs';
  try {
    const conflicts = await work();
    if (conflicts !== null) return conflicts;
  } catch (error) {
    if (!isTaken(error) && !isUnreferenced(error)) throw error;
    why = isTaken(error) ? 'taken' : 'unreferenced';
    if (why === 'taken' && error instanceof SynclineError && error.details.table !== undefined)
      lane.moved.note(error.details.table);
  }
  await lane.undo();
  return why;
}

/** Constraints that may wait until the end of a transaction do. */
async function inOrder(lane: LaneSession, segments: readonly Segment[], ownRows: OwnRows): Promise<number> {
  await lane.run([{ text: 'SET CONSTRAINTS ALL DEFERRED' }]);
  let conflicts = 0;
  for (let at = 0; at < segments.length; at += segmentsAtOnce) {
    const some = segments.slice(at, at + segmentsAtOnce);
    conflicts += (await applySegments(lane, some, { manner: 'careful', ownRows })) ?? 0;
  }
  return conflicts;
}
