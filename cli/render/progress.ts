import type { LoadHeartbeat } from '../../definitions/contracts/copy.ts';
import type { JobStatus } from '../../definitions/contracts/status.ts';
import { lagText } from './links.ts';
import { bytesText, countText, durationText, rateText } from './amounts.ts';

export interface ProgressSample {
  readonly atMs: number;
  readonly status: JobStatus;
  /** When the stage began, as far as it was watched; absent: with the job. */
  readonly stageSinceMs?: number;
  /** Units in flight, from the heartbeats: not in the status until they are committed. */
  readonly inFlight: readonly LoadHeartbeat[];
}

const barWidth = 24;
const leastRatedMs = 500;

/** `[######....] 62%  1,234,567 rows  1.2 GB  85.0 MB/s  12 s left`; the rate is over the whole run, or stage, so far. */
export function progressLine({ atMs, status, stageSinceMs, inFlight }: ProgressSample): string {
  const rows = status.rows.written + sum(inFlight, ({ rows: count }) => count);
  const bytes = status.bytes + sum(inFlight, ({ bytes: count }) => count);
  const elapsedMs = Math.max(1, atMs - (stageSinceMs ?? Date.parse(status.startedAt)));
  const rate = (bytes / elapsedMs) * 1000;
  const share = shareOf(status, bytes);
  return [
    ...stageOf(status),
    share === null ? status.phase : `${bar(share)} ${String(Math.floor(share * 100)).padStart(3)}%`,
    `${countText(rows)} rows`,
    bytesText(bytes),
    // Of a moment it would be any number.
    ...(elapsedMs < leastRatedMs ? [] : [rateText(rate)]),
    ...(status.state === 'running' ? left(share, elapsedMs) : [status.state]),
    ...followed(status),
    ...(status.needsAttention && status.reason !== null ? [`attention: ${status.reason}`] : []),
  ].join('  ');
}

/** Of a duplication: how far each target is, while the log flows. */
function followed({ links = [] }: JobStatus): string[] {
  return links.map(({ target, phase, progress }) => {
    const lag = progress === null ? '' : ` ${lagText(progress.lagMs)} behind`;
    return `${links.length === 1 ? '' : `${target} `}${phase}${lag}`;
  });
}

/** `restore 3/3`; of several backups that are restored in one run, each is a step of its own. */
function stageOf({ stage, stages = [] }: JobStatus): string[] {
  if (stage === undefined) return [];
  const at = stages.findIndex(({ state }) => state === 'running');
  return [at < 0 ? stage : `${stage} ${at + 1}/${stages.length}`];
}

/** Bytes on disk and COPY bytes differ, so the share of units has the last word near the end. */
function shareOf({ chunks, plannedBytes }: JobStatus, bytes: number): number | null {
  if (chunks.total === 0) return null;
  const units = (chunks.done + chunks.skipped) / chunks.total;
  if (units >= 1 || plannedBytes === 0) return units;
  return Math.min(0.99, Math.max(units, bytes / plannedBytes));
}

function left(share: number | null, elapsedMs: number): string[] {
  if (share === null || share < 0.02 || elapsedMs < 2_000 || share >= 1) return [];
  return [`${durationText((elapsedMs / share) * (1 - share))} left`];
}

function bar(share: number): string {
  const full = Math.round(share * barWidth);
  return `[${'#'.repeat(full)}${'.'.repeat(barWidth - full)}]`;
}

function sum<Item>(items: readonly Item[], of: (item: Item) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
