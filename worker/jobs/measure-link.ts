import type { ResolvedDuplicationJob } from '../../definitions/contracts/job.ts';
import type { StoreProvider } from '../../stores/spi/store.ts';
import type { LiveLink } from './link-heartbeats.ts';
import { type LinkMetrics, linkMetricsOf } from './link-metrics.ts';
import { type LinkLedger, seeLink } from './links.ts';

/** As many batches as a ledger remembers of a link. */
const batchLimit = 10_000;

export interface MeasuredLink {
  readonly job: ResolvedDuplicationJob;
  readonly link: LinkLedger;
  /** What it says of itself while it is followed. */
  readonly live: LiveLink | undefined;
}

/** Null: the target knows no such link yet. `windowMs` null: as far back as batches are remembered. */
export async function measureLink(
  stores: StoreProvider,
  { job, link, live }: MeasuredLink,
  windowMs: number | null,
): Promise<LinkMetrics | null> {
  const known = await seeLink(stores, job, link);
  if (known === null) return null;
  // How late it is only who follows it knows: a ledger cannot tell a quiet source from a link that stands still.
  const { lagMs, lagBytes, way, lastPullAt } = live?.progress ?? known.progress;
  const seen = { ...known, progress: { ...known.progress, lagMs, lagBytes, way, lastPullAt } };
  const { ref, target } = link;
  const [batches, special] = await Promise.all([
    target.batches(ref, { ms: windowMs, limit: batchLimit }),
    target.tables(ref),
  ]);
  const failedAttempts = special.reduce((sum, { attempts }) => sum + attempts, 0);
  return linkMetricsOf({ seen, batches, windowMs, nowMs: Date.now(), failedAttempts });
}
