import type { LinkProgress, LinkStatus } from '../../definitions/contracts/duplication.ts';
import type { JobStatus } from '../../definitions/contracts/status.ts';

/** A link in the log, a moment behind, with nothing wrong; what a test is about is put over it. */
export function linkProgress(over: Partial<LinkProgress> = {}): LinkProgress {
  return {
    position: '0000000001000000',
    consistentAt: '0000000000900000',
    lagMs: 120,
    lagBytes: 4_096,
    retainedBytes: 16_000_000,
    spooledChanges: 0,
    spooledBytes: 0,
    transactions: 40,
    changes: 1_000,
    applied: 990,
    filtered: 10,
    deadTransactions: 0,
    conflicts: 0,
    bytes: 250_000,
    lastPullAt: '2026-01-01T00:00:00.000Z',
    way: 'stream',
    tables: [],
    danger: null,
    ...over,
  };
}

export function linkStatus(
  target: string,
  progress: Partial<LinkProgress> | null,
  over: Partial<LinkStatus> = {},
): LinkStatus {
  return {
    target,
    phase: 'log',
    pegasusPhase: 'DS_LOG',
    state: 'running',
    generation: 1,
    needsAttention: false,
    reason: null,
    reasonCode: null,
    progress: progress === null ? null : linkProgress(progress),
    ...over,
  };
}

export function duplicationStatus(
  links: readonly LinkStatus[],
  over: Partial<JobStatus> = {},
): JobStatus & { readonly links: readonly LinkStatus[] } {
  return {
    name: 'trades-live',
    kind: 'duplication',
    phase: 'log',
    state: 'running',
    needsAttention: false,
    reason: null,
    reasonCode: null,
    chunks: { total: 8, done: 8, skipped: 0, inFlight: 0 },
    rows: { read: 800, written: 800, skipped: 0 },
    bytes: 80_000,
    plannedBytes: 80_000,
    lagMs: links[0]?.progress?.lagMs ?? null,
    lagBytes: links[0]?.progress?.lagBytes ?? null,
    position: links[0]?.progress?.position ?? null,
    consistentAt: links[0]?.progress?.consistentAt ?? null,
    startedAt: '2026-01-01T00:00:00.000Z',
    endedAt: null,
    onFailure: { mode: 'slow', attempts: 30 },
    ...over,
    links,
  };
}
