import type { MetricMeter } from '@temporalio/common';
import type { ActivityMetrics } from '../activities/dependencies.ts';

/** Our own series on the Prometheus endpoint, beside the SDK's `temporal_*`. Units stand in the names. */
export const metricNames = {
  rowsCopied: 'syncline_rows_copied_total',
  bytesCopied: 'syncline_bytes_copied_total',
  unitSeconds: 'syncline_unit_seconds',
  unitsFailed: 'syncline_units_failed_total',
  logTransactions: 'syncline_log_transactions_total',
  logChanges: 'syncline_log_changes_applied_total',
  logTableChanges: 'syncline_log_table_changes_total',
  logBytes: 'syncline_log_shipped_bytes_total',
  logBatches: 'syncline_log_batches_total',
  logBatchSeconds: 'syncline_log_batch_seconds',
  logBatchesFailed: 'syncline_log_batches_failed_total',
  linkLag: 'syncline_link_lag_milliseconds',
  linkLagBytes: 'syncline_link_lag_bytes',
  linkRetainedBytes: 'syncline_link_retained_bytes',
  linkSpooledChanges: 'syncline_link_spooled_changes',
  linkDeadTransactions: 'syncline_link_dead_transactions',
  linkConflicts: 'syncline_link_conflicts',
} as const;

/** For docs and for HELP lines: what each counts and its labels. */
export const metricTexts: Readonly<Record<keyof typeof metricNames, string>> = {
  rowsCopied: 'Rows committed on targets by this worker; label job.',
  bytesCopied: 'COPY bytes committed on targets by this worker; label job.',
  unitSeconds: 'Seconds from taking a unit (chunk or slice) to its commit; label job.',
  unitsFailed: 'Attempts at units that failed; labels job and code (an error code).',
  logTransactions: 'Transactions of the source committed on the target by this worker; labels job, target.',
  logChanges: 'Changes of the log that became rows on the target by this worker; labels job, target.',
  logTableChanges:
    'The same by table, received by the target; labels job, target, table (of the first 200 tables; then `other`).',
  logBytes: 'Bytes of the log shipped to the target by this worker; labels job, target.',
  logBatches: 'Batches of the log that this worker committed (successful ships); labels job, target.',
  logBatchSeconds:
    'Seconds from the first change of a batch to its commit on the target; labels job, target.',
  logBatchesFailed:
    'Batches of the log that failed (failed ships); labels job, target and code (an error code).',
  linkLag:
    'Milliseconds between the commit of the newest transaction on the target and now, 0 at the end of the log; labels job, target.',
  linkLagBytes: 'Bytes of log at the source that are not on the target yet; labels job, target.',
  linkRetainedBytes:
    'Bytes that are kept for the link: log at the source and spool on the target; labels job, target.',
  linkSpooledChanges: 'Changes that wait in the spool on the target; labels job, target.',
  linkDeadTransactions: 'Transactions set aside since the link was made; labels job, target.',
  linkConflicts:
    'Rows on the target that were not as the log says they were, since the link was made; labels job, target.',
};

/** Upper bounds in seconds: units take from milliseconds (tiny partitions) to minutes. */
export const unitSecondsBuckets = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180, 600, 1800];

/** Upper bounds in seconds: a batch takes milliseconds, or seconds when it is one large transaction. */
export const batchSecondsBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

export function createActivityMetrics(meter: MetricMeter): ActivityMetrics {
  const rows = meter.createCounter(metricNames.rowsCopied, 'rows', metricTexts.rowsCopied);
  const bytes = meter.createCounter(metricNames.bytesCopied, 'bytes', metricTexts.bytesCopied);
  const seconds = meter.createHistogram(metricNames.unitSeconds, 'float', 's', metricTexts.unitSeconds);
  const failed = meter.createCounter(metricNames.unitsFailed, 'units', metricTexts.unitsFailed);
  return {
    rowsCopied: (job, count) => rows.add(count, { job }),
    bytesCopied: (job, count) => bytes.add(count, { job }),
    unitLoaded: (job, took) => seconds.record(took, { job }),
    unitFailed: (job, code) => failed.add(1, { job, code }),
    ...logMetrics(meter),
  };
}

type LogMetrics = Pick<ActivityMetrics, 'batchApplied' | 'batchFailed' | 'linkState'>;

/** A job may have any number of tables, and a series is for ever. */
const namedTables = 200;

/** The label of a table: its name while few are known. */
function tableLabels(): (table: string) => string {
  const known = new Set<string>();
  return (table) => {
    if (known.size < namedTables) known.add(table);
    return known.has(table) ? table : 'other';
  };
}

function logMetrics(meter: MetricMeter): LogMetrics {
  const counter = (key: keyof typeof metricNames, unit: string) =>
    meter.createCounter(metricNames[key], unit, metricTexts[key]);
  const transactions = counter('logTransactions', 'transactions');
  const changes = counter('logChanges', 'changes');
  const tableChanges = counter('logTableChanges', 'changes');
  const labelOf = tableLabels();
  const bytes = counter('logBytes', 'bytes');
  const batches = counter('logBatches', 'batches');
  const failed = counter('logBatchesFailed', 'batches');
  const seconds = meter.createHistogram(
    metricNames.logBatchSeconds,
    'float',
    's',
    metricTexts.logBatchSeconds,
  );
  return {
    batchApplied: ({ job, target }, batch) => {
      const labels = { job, target };
      transactions.add(batch.transactions, labels);
      changes.add(batch.changes, labels);
      for (const [table, count] of batch.tables ?? [])
        tableChanges.add(count, { ...labels, table: labelOf(table) });
      bytes.add(batch.bytes, labels);
      batches.add(1, labels);
      seconds.record(batch.seconds, labels);
    },
    batchFailed: ({ job, target }, code) => failed.add(1, { job, target, code }),
    linkState: linkGauges(meter),
  };
}

/** A gauge whose value is not known keeps the last one: a missing series would look like a removed link. */
function linkGauges(meter: MetricMeter): LogMetrics['linkState'] {
  const gauge = (key: keyof typeof metricNames, unit: string) =>
    meter.createGauge(metricNames[key], 'int', unit, metricTexts[key]);
  const gauges = {
    lagMs: gauge('linkLag', 'ms'),
    lagBytes: gauge('linkLagBytes', 'bytes'),
    retainedBytes: gauge('linkRetainedBytes', 'bytes'),
    spooledChanges: gauge('linkSpooledChanges', 'changes'),
    deadTransactions: gauge('linkDeadTransactions', 'transactions'),
    conflicts: gauge('linkConflicts', 'rows'),
  };
  return ({ job, target }, state) => {
    for (const key of Object.keys(gauges) as (keyof typeof gauges)[]) {
      const value = state[key];
      if (value !== null && value !== undefined)
        gauges[key].set(Math.max(0, Math.round(value)), { job, target });
    }
  };
}

const nothing = (): void => undefined;

/** Where nobody measures: a plan, a test. */
export const noMetrics: ActivityMetrics = {
  rowsCopied: nothing,
  bytesCopied: nothing,
  unitLoaded: nothing,
  unitFailed: nothing,
  batchApplied: nothing,
  batchFailed: nothing,
  linkState: nothing,
};
