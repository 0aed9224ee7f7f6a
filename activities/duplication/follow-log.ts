import type { Followed, FollowInput } from '../../definitions/contracts/duplication.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { withHeartbeat } from '../heartbeat.ts';
import { LinkFollower } from './follow/link-follower.ts';
import { linkOf } from './link.ts';

/**
 * Follows the log of one link: reads, routes, applies, commits, confirms. It has no state of its own: everything is in the
 * link's row and the ledger, so it may be killed anywhere and begun again by another worker.
 */
export async function followLog(dependencies: ActivityDependencies, input: FollowInput): Promise<Followed> {
  const link = linkOf(dependencies.stores, input);
  const follower = new LinkFollower(dependencies, link, input);
  return await withHeartbeat(
    () => follower.heartbeat,
    (signal) =>
      follower.run(signal, async () => {
        const why = await follower.untilWhy();
        return { why, progress: follower.progress };
      }),
  );
}
