import type { MetricMeter } from '@temporalio/common';
import type { ActivityMetrics } from '../activities/dependencies.ts';

/** Our own series on the Prometheus endpoint, beside the SDK's `temporal_*`. Units stand in the names. */
export const metricNames = {
  rowsCopied: 'syncline_rows_copied_total',
  bytesCopied: 'syncline_bytes_copied_total',
  unitSeconds: 'syncline_unit_seconds',
  unitsFailed: 'syncline_units_failed_total',
} as const;

/** For docs and for HELP lines: what each counts and its labels. */
export const metricTexts: Readonly<Record<keyof typeof metricNames, string>> = {
  rowsCopied: 'Rows committed on targets by this worker; label job.',
  bytesCopied: 'COPY bytes committed on targets by this worker; label job.',
  unitSeconds: 'Seconds from taking a unit (chunk or slice) to its commit; label job.',
  unitsFailed: 'Attempts at units that failed; labels job and code (an error code).',
};

/** Upper bounds in seconds: units take from milliseconds (tiny partitions) to minutes. */
export const unitSecondsBuckets = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180, 600, 1800];

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
  };
}
