import { defaultPayloadConverter } from '@temporalio/common';
import type { temporal } from '@temporalio/proto';
import type { FollowHeartbeat, LinkProgress, LinkStatus } from '../../definitions/contracts/duplication.ts';
import type { JobStatus } from '../../definitions/contracts/status.ts';
import type { TemporalAccess } from '../connection.ts';
import { describeExisting, type JobAddress } from './job-address.ts';

/** A link that is followed tells of itself while it is; the workflow knows only what its activities have answered. */
export interface LiveLink {
  readonly target: string;
  readonly progress: LinkProgress;
  readonly atMs: number;
}

type Pending = temporal.api.workflow.v1.IPendingActivityInfo;

/** By target: the newest that is told. */
export function liveLinks(pending: readonly Pending[]): ReadonlyMap<string, LiveLink> {
  const found = new Map<string, LiveLink>();
  for (const one of pending) {
    const payload = one.heartbeatDetails?.payloads?.[0];
    const progress: unknown = payload === undefined ? null : defaultPayloadConverter.fromPayload(payload);
    if (!isFollowHeartbeat(progress)) continue;
    const { target } = progress;
    const atMs = Number(one.lastHeartbeatTime?.seconds ?? 0) * 1000;
    if ((found.get(target)?.atMs ?? -1) < atMs) found.set(target, { target, progress, atMs });
  }
  return found;
}

/** The same of a job, by asking Temporal. */
export async function liveLinksOf(
  access: TemporalAccess,
  address: JobAddress,
): Promise<ReadonlyMap<string, LiveLink>> {
  const { raw } = await describeExisting(access, address);
  return liveLinks(raw.pendingActivities ?? []);
}

/** Before the log is open, a heartbeat holds no progress yet. */
function isFollowHeartbeat(value: unknown): value is FollowHeartbeat {
  return typeof value === 'object' && value !== null && 'target' in value && 'spooledChanges' in value;
}

/** After this long nobody follows any more, whatever the last sign of life said; the lag grows by itself. */
const silenceMs = 10_000;

/** The status with what its links say right now. */
export function withLiveLinks(
  status: JobStatus,
  live: ReadonlyMap<string, LiveLink>,
  nowMs: number,
): JobStatus {
  if (status.links === undefined || live.size === 0) return status;
  const links = status.links.map((link) => {
    const said = live.get(link.target);
    return said === undefined ? link : { ...link, progress: aged(said, nowMs) };
  });
  return { ...status, links, ...worstOf(links, status) };
}

function aged({ progress, atMs }: LiveLink, nowMs: number): LinkProgress {
  const silent = nowMs - atMs;
  if (progress.lagMs === null || silent <= silenceMs) return progress;
  return { ...progress, lagMs: progress.lagMs + silent };
}

type Worst = Pick<JobStatus, 'lagMs' | 'lagBytes' | 'position' | 'consistentAt'>;

/** Of the links that are where the job as a whole is, the one that is furthest behind. */
export function worstOf(
  links: readonly LinkStatus[],
  { phase, state }: Pick<JobStatus, 'phase' | 'state'>,
): Worst {
  const alike = links.filter((link) => link.phase === phase && link.state === state);
  const [first = null, ...others] = alike.length > 0 ? alike : links;
  const worst = others.reduce((one, other) => (isFurtherBehind(other, one) ? other : one), first);
  const progress = worst?.progress ?? null;
  return {
    lagMs: progress?.lagMs ?? null,
    lagBytes: progress?.lagBytes ?? null,
    position: progress?.position ?? null,
    consistentAt: progress?.consistentAt ?? null,
  };
}

function isFurtherBehind({ progress: one }: LinkStatus, other: LinkStatus | null): boolean {
  const consistent = Number((one?.consistentAt ?? null) !== null);
  const otherConsistent = Number((other?.progress?.consistentAt ?? null) !== null);
  if (consistent !== otherConsistent) return consistent < otherConsistent;
  return (one?.lagMs ?? 0) > (other?.progress?.lagMs ?? 0);
}
