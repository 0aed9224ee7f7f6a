import type { CutLink, FollowedMeanwhile } from '../../definitions/contracts/duplication.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { withHeartbeat } from '../heartbeat.ts';
import { stopAtCut } from './follow/cut.ts';
import { LinkFollower } from './follow/link-follower.ts';
import { linkOf } from './link.ts';

/**
 * Brings a link to one instant of its source and leaves it there: what is not part of the instant waits in the spool, and goes
 * with the link. Repeated, it is a later instant.
 */
export async function cutLink(
  dependencies: ActivityDependencies,
  input: FollowedMeanwhile,
): Promise<CutLink> {
  const link = linkOf(dependencies.stores, input);
  const forMs = Number.MAX_SAFE_INTEGER;
  const follower = new LinkFollower(dependencies, link, { ...input, forMs });
  return await withHeartbeat(
    () => follower.heartbeat,
    (signal) => follower.run(signal, async () => ({ consistentAt: await stopAtCut(follower) })),
  );
}
