import type { MetricMeter, MetricTags } from '@temporalio/common';
import { expect, test } from 'vitest';
import { createActivityMetrics, metricNames, metricTexts } from '../../worker/metrics.ts';

/** What was told of each series: `name{labels} value`, counters added up, gauges and histograms as they came. */
class SeenMeter {
  readonly values = new Map<string, number[]>();
  readonly described = new Map<string, string | undefined>();

  get meter(): MetricMeter {
    const make = (name: string, description?: string) => {
      this.described.set(name, description);
      const note = (value: number, tags: MetricTags = {}): void => {
        const labels = Object.entries(tags).map(([key, label]) => `${key}=${String(label)}`);
        const series = `${name}{${labels.join(',')}}`;
        this.values.set(series, [...(this.values.get(series) ?? []), value]);
      };
      return { add: note, set: note, record: note };
    };
    const meter = {
      createCounter: (name: string, ...[, description]: (string | undefined)[]) => make(name, description),
      createGauge: (name: string, ...[, , description]: (string | undefined)[]) => make(name, description),
      createHistogram: (name: string, ...[, , description]: (string | undefined)[]) =>
        make(name, description),
    };
    return meter as unknown as MetricMeter;
  }
}

const link = { job: 'trades', target: 'dr' };
const labels = '{job=trades,target=dr}';

test('every series has a HELP text, and a unit in its name', () => {
  const seen = new SeenMeter();
  createActivityMetrics(seen.meter);
  expect([...seen.described.keys()].sort()).toEqual(Object.values(metricNames).sort());
  expect([...seen.described.values()].sort()).toEqual(Object.values(metricTexts).sort());
  for (const name of seen.described.keys())
    expect(name).toMatch(
      /^syncline_.*(_total|_seconds|_milliseconds|_bytes|_changes|_transactions|_conflicts)$/,
    );
});

test('a batch counts its transactions, changes, bytes, and changes by table', () => {
  const seen = new SeenMeter();
  const metrics = createActivityMetrics(seen.meter);
  const tables = new Map([
    ['public.a', 3],
    ['public.b', 2],
  ]);
  metrics.batchApplied(link, { transactions: 2, changes: 5, bytes: 700, seconds: 0.25, tables });
  metrics.batchFailed(link, 'target.constraint');
  expect(Object.fromEntries(seen.values)).toEqual({
    [`syncline_log_transactions_total${labels}`]: [2],
    [`syncline_log_changes_applied_total${labels}`]: [5],
    [`syncline_log_shipped_bytes_total${labels}`]: [700],
    [`syncline_log_batches_total${labels}`]: [1],
    [`syncline_log_batch_seconds${labels}`]: [0.25],
    'syncline_log_table_changes_total{job=trades,target=dr,table=public.a}': [3],
    'syncline_log_table_changes_total{job=trades,target=dr,table=public.b}': [2],
    'syncline_log_batches_failed_total{job=trades,target=dr,code=target.constraint}': [1],
  });
});

test('tables are labels only while there are few', () => {
  const seen = new SeenMeter();
  const metrics = createActivityMetrics(seen.meter);
  for (let index = 0; index < 300; index += 1) {
    const tables = new Map([[`public.t${index}`, 1]]);
    metrics.batchApplied(link, { transactions: 1, changes: 1, bytes: 1, seconds: 1, tables });
  }
  const series = [...seen.values.keys()].filter((name) => name.includes('table='));
  expect(series).toHaveLength(201);
  expect(seen.values.get('syncline_log_table_changes_total{job=trades,target=dr,table=other}')).toHaveLength(
    100,
  );
});

test('the state of a link is told as it is, and what is not known is left as it was', () => {
  const seen = new SeenMeter();
  const metrics = createActivityMetrics(seen.meter);
  const known = { lagMs: 12.4, lagBytes: 900, retainedBytes: 1000, spooledChanges: 7 };
  metrics.linkState(link, { ...known, deadTransactions: 1, conflicts: 2 });
  metrics.linkState(link, { ...known, lagMs: null, lagBytes: null, spooledChanges: 0 });
  expect(Object.fromEntries(seen.values)).toEqual({
    [`syncline_link_lag_milliseconds${labels}`]: [12],
    [`syncline_link_lag_bytes${labels}`]: [900],
    [`syncline_link_retained_bytes${labels}`]: [1000, 1000],
    [`syncline_link_spooled_changes${labels}`]: [7, 0],
    [`syncline_link_dead_transactions${labels}`]: [1],
    [`syncline_link_conflicts${labels}`]: [2],
  });
});
