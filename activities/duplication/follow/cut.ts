import type { LogCut, LogPosition } from '../../../stores/spi/log.ts';
import { requireCapability } from '../../../stores/spi/store.ts';
import type { LinkFollower } from './link-follower.ts';

/** Snapshots, exported by open sessions, under which both sides hold the same rows. */
export interface CutInstant {
  readonly source: string;
  readonly target: string;
}

/**
 * Design 3.1, a cut at a snapshot: the source's snapshot is taken, the log is followed to where the source was after it, and
 * only transactions that are visible in it are applied; the few others wait in the spool. Then the target equals the
 * snapshot, a snapshot of it is taken too, and the others go on. Nothing is locked on either side.
 */
export async function cutAt<T>(
  follower: LinkFollower,
  work: (instant: CutInstant) => Promise<T>,
): Promise<T> {
  const { link, signal } = follower.following;
  const cut = await followToCut(follower);
  try {
    const held = await requireCapability(link.target, 'snapshotHolder').hold(link.ref.job, signal);
    try {
      follower.hold(null);
      follower.doing = 'comparing';
      return await work({ source: cut.snapshot, target: held.id });
    } finally {
      await held.close();
    }
  } finally {
    follower.hold(null);
    follower.doing = 'following';
    await cut.close();
  }
}

/** The same, and there it stays: nobody may follow this link any more. Answers where. */
export async function stopAtCut(follower: LinkFollower): Promise<LogPosition> {
  const cut = await followToCut(follower);
  await cut.close();
  return cut.position;
}

async function followToCut(follower: LinkFollower): Promise<LogCut> {
  const { link, signal } = follower.following;
  // What waits already would be missing at the instant.
  follower.doing = 'draining';
  await follower.until(() => (follower.isSettled ? true : null));
  follower.doing = 'cutting';
  const cut = await link.log.cut(link.ref.job, signal);
  try {
    const isVisible = link.log.visibility(cut.mark);
    follower.hold(({ transaction }) => !isVisible(transaction.xid));
    await follower.until(() => (follower.position >= cut.position ? true : null));
    return cut;
  } catch (error) {
    await cut.close();
    throw error;
  }
}
