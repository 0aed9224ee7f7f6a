import type { CopyTotals, PlanTotals } from '../definitions/contracts/copy.ts';
import type { LinkStatus } from '../definitions/contracts/duplication.ts';
import type { FailMode } from '../definitions/contracts/job.ts';
import type { JobState, JobStatus } from '../definitions/contracts/status.ts';

/** A link with what its loads have done. */
export interface LinkView {
  readonly status: LinkStatus;
  readonly totals: CopyTotals;
  readonly plan: PlanTotals;
  readonly unitsInFlight: number;
  readonly onFailure: { readonly mode: FailMode; readonly attempts: number };
}

export interface DuplicationFacts {
  readonly name: string;
  readonly links: readonly LinkView[];
  /** How the job ended; null while any of its links lives. */
  readonly ended: 'done' | 'removed' | 'failed' | null;
  /** Why it ended without result. */
  readonly note: string | null;
  readonly startedAt: string;
  readonly endedAt: string | null;
}

/** The status of a job with links: each of them, and above them that of the one that is worst off. */
export function duplicationStatusOf(facts: DuplicationFacts): JobStatus {
  const { name, links, ended, note, startedAt, endedAt } = facts;
  const worst = worstOf(links);
  const { status, totals, plan } = worst;
  const several = links.length > 1;
  const reason = several && status.reason !== null ? `${status.target}: ${status.reason}` : status.reason;
  const { progress } = status;
  return {
    ...{ name, kind: 'duplication', startedAt, endedAt, onFailure: worst.onFailure },
    phase: ended === 'done' || ended === 'removed' ? ended : status.phase,
    state: ended ?? status.state,
    needsAttention: ended === 'failed' || (ended === null && status.needsAttention),
    reason: note ?? reason,
    reasonCode: ended === null || ended === 'failed' ? status.reasonCode : null,
    chunks: {
      total: plan.units,
      done: totals.unitsDone,
      skipped: totals.unitsSkipped,
      inFlight: worst.unitsInFlight,
    },
    rows: { read: totals.rowsRead, written: totals.rowsWritten, skipped: totals.rowsSkipped },
    bytes: totals.bytes,
    plannedBytes: plan.bytes,
    lagMs: progress?.lagMs ?? null,
    lagBytes: progress?.lagBytes ?? null,
    position: progress?.position ?? null,
    consistentAt: progress?.consistentAt ?? null,
    links: links.map((link) => link.status),
  };
}

function worstOf(links: readonly LinkView[]): LinkView {
  const [first, ...others] = links;
  if (first === undefined) throw new RangeError('A duplication has at least one link.');
  return others.reduce((worst, link) => (isWorse(link, worst) ? link : worst), first);
}

const badness: Readonly<Record<JobState, number>> = {
  failed: 6,
  stopped: 5,
  unknown: 4,
  running: 3,
  paused: 3,
  done: 1,
  removed: 0,
};

/** By what weighs more: its state, that somebody should look, that it does not move, how far it is, how late. */
function isWorse({ status: one }: LinkView, { status: other }: LinkView): boolean {
  const differences = [
    badness[one.state] - badness[other.state],
    Number(one.needsAttention) - Number(other.needsAttention),
    Number(one.state === 'paused') - Number(other.state === 'paused'),
    Number(one.phase !== 'log') - Number(other.phase !== 'log'),
    Number(isInconsistent(one)) - Number(isInconsistent(other)),
    (one.progress?.lagMs ?? 0) - (other.progress?.lagMs ?? 0),
    (one.progress?.lagBytes ?? 0) - (other.progress?.lagBytes ?? 0),
  ];
  return (differences.find((difference) => difference !== 0) ?? 0) > 0;
}

function isInconsistent({ progress }: LinkStatus): boolean {
  return (progress?.consistentAt ?? null) === null;
}
