import { setTimeout as delay } from 'node:timers/promises';
import type { DuplicationResult } from '../definitions/contracts/duplication.ts';
import type { JobStatus } from '../definitions/contracts/status.ts';
import { SynclineError } from '../definitions/errors.ts';
import type { TemporalAccess } from '../worker/connection.ts';
import { describeExisting, type JobAddress } from '../worker/jobs/job-address.ts';
import { queryStatus } from '../worker/jobs/job-status.ts';
import type { LinkOption } from './link-option.ts';

interface Ending extends LinkOption {
  /** `done`: promoted. */
  readonly phase: 'done' | 'removed';
}

const everyMs = 500;

/**
 * Waits until links of a running job have ended as asked, and names their targets. With the last link the job ends too.
 * Errors: `job.refused` when it ended otherwise.
 */
export async function untilLinksEnd(
  access: TemporalAccess,
  address: JobAddress,
  ending: Ending,
): Promise<readonly string[]> {
  for (;;) {
    const { status } = await describeExisting(access, address);
    const links =
      status.name === 'RUNNING'
        ? endedSoFar(await queryStatus(access, address), ending)
        : await endedAtAll(access, address, ending);
    if (links !== null) return links;
    await delay(everyMs);
  }
}

/** Null: not yet. Stops waiting for a link that waits for a person. */
function endedSoFar(status: JobStatus | null, { target, phase }: Ending): readonly string[] | null {
  const links = (status?.links ?? []).filter((link) => target === undefined || link.target === target);
  const stopped = links.find(({ state }) => state === 'stopped');
  if (stopped !== undefined)
    throw new SynclineError(
      stopped.reasonCode ?? 'job.refused',
      stopped.reason ?? `${stopped.target} stopped.`,
    );
  if (links.length === 0 || !links.every((link) => link.phase === phase || link.phase === 'removed'))
    return null;
  return links.filter((link) => link.phase === phase).map((link) => link.target);
}

async function endedAtAll(
  { client }: TemporalAccess,
  address: JobAddress,
  { target, phase }: Ending,
): Promise<readonly string[]> {
  const result = (await client.workflow.getHandle(address.workflowId).result()) as DuplicationResult;
  const as = phase === 'done' ? 'promoted' : 'removed';
  const ended = result.links.filter(
    (link) => link.as === as && (target === undefined || link.target === target),
  );
  if (ended.length > 0) return ended.map((link) => link.target);
  throw new SynclineError('job.refused', `The job "${address.name}" ended before it could be ${as}.`);
}
