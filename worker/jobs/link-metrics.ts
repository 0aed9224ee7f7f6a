import type { LinkProgress } from '../../definitions/contracts/duplication.ts';
import type { BatchLine } from '../../stores/spi/log-target.ts';
import type { SeenLink } from './links.ts';

/** How a link did over a while: the figures of a DolphinDB task list and of Pegasus, see docs/reference/duplication.md. */
export interface LinkMetrics {
  readonly target: string;
  /** Milliseconds that the figures are about; null: as long as batches are remembered. */
  readonly windowMs: number | null;
  /** A task is a batch: whole transactions of the source, committed together. */
  readonly finishedTasks: number;
  /** Batches in which a transaction was set aside. */
  readonly skippedTasks: number;
  /** About: the log that is still to come, in batches of the usual size. Null: nothing to reckon from. */
  readonly unfinishedTasks: number | null;
  readonly finishedTasksPerSecond: number;
  /** From the first change of a batch to its commit. Null: no batch. */
  readonly averageCostMs: number | null;
  readonly maxCostMs: number | null;
  /** Transactions a batch. */
  readonly averageGroupSize: number | null;
  readonly transactionsPerSecond: number;
  readonly changesPerSecond: number;
  readonly shippedBytesPerSecond: number;
  /** Log of the source that was gone through, and that the source may forget. */
  readonly confirmedBytesPerSecond: number;
  /** From the commit at the source to the commit here. Null: no batch. */
  readonly lagP50Ms: number | null;
  readonly lagP99Ms: number | null;
  readonly lagMaxMs: number | null;
  /** Transactions that were later than `log.laggingAfter`. */
  readonly laggingTransactions: number;
  /** Attempts that failed at tables which still fail; of all attempts the worker's metrics tell. */
  readonly failedAttempts: number;
  /** As it is now. */
  readonly now: Pick<
    LinkProgress,
    'lagMs' | 'lagBytes' | 'retainedBytes' | 'spooledChanges' | 'spooledBytes' | 'way' | 'lastPullAt'
  >;
  /** Since the link was made. */
  readonly since: string;
  readonly totals: Pick<
    LinkProgress,
    'transactions' | 'changes' | 'applied' | 'filtered' | 'deadTransactions' | 'conflicts' | 'bytes'
  >;
}

export interface MetricsFacts {
  readonly seen: SeenLink;
  /** Newest first. */
  readonly batches: readonly BatchLine[];
  /** Null: as far back as batches are remembered. */
  readonly windowMs: number | null;
  readonly nowMs: number;
  readonly failedAttempts: number;
}

export function linkMetricsOf({ seen, batches, windowMs, nowMs, failedAttempts }: MetricsFacts): LinkMetrics {
  const { state, progress } = seen;
  const oldest = batches.at(-1)?.startedAtMs ?? nowMs;
  const seconds = Math.max(1, windowMs ?? nowMs - oldest) / 1000;
  const perSecond = (amount: number): number => amount / seconds;
  const costs = batches.map(({ startedAtMs, finishedAtMs }) => finishedAtMs - startedAtMs);
  const transactions = sum(batches, (one) => one.transactions);
  return {
    target: state.ref.target,
    windowMs,
    finishedTasks: batches.filter((one) => one.state === 'finished').length,
    skippedTasks: batches.filter((one) => one.state === 'skipped').length,
    unfinishedTasks: unfinished(batches, progress.lagBytes),
    finishedTasksPerSecond: perSecond(batches.length),
    averageCostMs: batches.length === 0 ? null : sum(costs, (cost) => cost) / batches.length,
    maxCostMs: greatest(costs),
    averageGroupSize: batches.length === 0 ? null : transactions / batches.length,
    transactionsPerSecond: perSecond(transactions),
    changesPerSecond: perSecond(sum(batches, (one) => one.changes)),
    shippedBytesPerSecond: perSecond(sum(batches, (one) => one.bytes)),
    confirmedBytesPerSecond: perSecond(logBytes(batches)),
    lagP50Ms: weighted(batches, 'lagP50Ms', 0.5),
    lagP99Ms: weighted(batches, 'lagP99Ms', 0.99),
    lagMaxMs: greatest(batches.map((one) => one.lagMaxMs)),
    laggingTransactions: sum(batches, (one) => one.lagging),
    failedAttempts,
    now: presentOf(progress),
    since: state.createdAt,
    totals: totalsOf(progress),
  };
}

function presentOf(progress: LinkProgress): LinkMetrics['now'] {
  const { lagMs, lagBytes, retainedBytes, spooledChanges, spooledBytes, way, lastPullAt } = progress;
  return { lagMs, lagBytes, retainedBytes, spooledChanges, spooledBytes, way, lastPullAt };
}

function totalsOf(progress: LinkProgress): LinkMetrics['totals'] {
  const { transactions, changes, applied, filtered, deadTransactions, conflicts, bytes } = progress;
  return { transactions, changes, applied, filtered, deadTransactions, conflicts, bytes };
}

function unfinished(batches: readonly BatchLine[], lagBytes: number | null): number | null {
  if (lagBytes === null) return null;
  if (lagBytes === 0) return 0;
  const each = logBytes(batches) / Math.max(1, batches.length);
  return each === 0 ? null : Math.ceil(lagBytes / each);
}

function logBytes(batches: readonly BatchLine[]): number {
  return sum(batches, ({ from, to }) => Number(BigInt(`0x${to}`) - BigInt(`0x${from}`)));
}

/** A batch stands for all its transactions; what is not known of each of them is taken to be alike. */
function weighted(batches: readonly BatchLine[], key: 'lagP50Ms' | 'lagP99Ms', part: number): number | null {
  const sorted = [...batches].sort((one, other) => one[key] - other[key]);
  const all = sum(sorted, ({ transactions }) => Math.max(1, transactions));
  let passed = 0;
  for (const one of sorted) {
    passed += Math.max(1, one.transactions);
    if (passed >= all * part) return one[key];
  }
  return null;
}

function greatest(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((one, other) => Math.max(one, other));
}

function sum<Item>(items: readonly Item[], of: (item: Item) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
