import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { expect, test } from 'vitest';
import type { CopyResult, PreflightFinding } from '../../definitions/contracts/copy.ts';
import type { JobStatus } from '../../definitions/contracts/status.ts';
import { type Outcome, outcomeOf } from '../../worker/jobs/outcome.ts';
import { bytesText, durationText } from '../../cli/render/amounts.ts';
import { progressLine } from '../../cli/render/progress.ts';
import { exitCodeOfOutcome, summaryLines, summaryOf } from '../../cli/render/summary.ts';
import { tableLines } from '../../cli/render/table.ts';
import { exitCodeOf } from '../../cli/exit-codes.ts';

const status: JobStatus = {
  name: 'trades',
  kind: 'copy',
  phase: 'load',
  state: 'running',
  needsAttention: false,
  reason: null,
  reasonCode: null,
  chunks: { total: 10, done: 5, skipped: 0, inFlight: 1 },
  rows: { read: 500, written: 500, skipped: 0 },
  bytes: 5_000_000,
  plannedBytes: 10_000_000,
  lagMs: null,
  lagBytes: null,
  position: null,
  consistentAt: null,
  startedAt: '2026-01-01T00:00:00.000Z',
  endedAt: null,
  onFailure: { mode: 'slow', attempts: 30 },
};

const result: CopyResult = {
  name: 'trades',
  kind: 'copy',
  state: 'done',
  chunks: { total: 10, done: 10, skipped: 0 },
  rows: 1000,
  bytes: 2_000_000,
  ms: 900,
  skipped: [],
  warnings: [],
};

function ended(outcome: Outcome) {
  return summaryOf({ name: 'trades', kind: 'copy', outcome, status, seconds: 2 });
}

test('progress adds what is in flight to what is committed, and says the time left', () => {
  const heartbeat = {
    chunk: 'c',
    step: 'copying',
    unitsDone: 0,
    units: 1,
    rows: 100,
    bytes: 1_000_000,
  } as const;
  const atMs = Date.parse(status.startedAt) + 6_000;
  expect(progressLine({ atMs, status, inFlight: [heartbeat] })).toBe(
    '[##############..........]  60%  600 rows  6.0 MB  1.0 MB/s  4.0 s left',
  );
});

test('progress before there is a plan shows the phase and no share', () => {
  const none = { ...status, phase: 'init', chunks: { total: 0, done: 0, skipped: 0, inFlight: 0 } } as const;
  expect(progressLine({ atMs: Date.parse(status.startedAt), status: none, inFlight: [] })).toMatch(
    /^init {2}/,
  );
});

test('the summary of a result is exactly the documented object', () => {
  expect(ended({ kind: 'result', result })).toEqual({
    name: 'trades',
    kind: 'copy',
    state: 'done',
    chunks: { total: 10, done: 10, skipped: 0 },
    rows: 1000,
    bytes: 2_000_000,
    seconds: 2,
  });
});

test('the summary of a failure holds the last known counts, code and cure', () => {
  const summary = ended({ kind: 'failed', code: 'store.diskFull', message: 'Full.', cure: 'Free space.' });
  expect(summary).toMatchObject({ state: 'failed', rows: 500, error: { code: 'store.diskFull' } });
  expect(summaryLines(summary).join('\n')).toContain('cure: Free space.');
});

test('the summary of a refused preflight has every finding with the cure of its own', async () => {
  const findings = [
    finding('public.trades', 'No such table.', 'Create it.'),
    finding('public.quotes', 'Column price is narrower.', 'Widen it.'),
  ];
  const refused = ApplicationFailure.nonRetryable(
    'No such table. (and 1 more)',
    'preflight.refused',
    findings,
  );
  const failed = new WorkflowFailedError('Workflow execution failed', refused, 'MAXIMUM_ATTEMPTS_REACHED');
  const summary = ended(await outcomeOf(Promise.reject(failed)));
  expect(summary.error?.findings).toEqual(findings);
  const text = summaryLines(summary).join('\n');
  for (const { table, message, cure } of findings) {
    expect(text).toContain(`error: ${table ?? ''}: ${message}`);
    expect(text).toContain(`cure: ${cure ?? ''}`);
  }
});

function finding(table: string, message: string, cure: string): PreflightFinding {
  return { severity: 'error', code: 'target.tableMissing', table, message, cure };
}

const skippedOne = { ...result, chunks: { total: 10, done: 9, skipped: 1 } };
test.each<[string, Outcome, number]>([
  ['done is 0', { kind: 'result', result }, 0],
  ['a skipped chunk is 1', { kind: 'result', result: skippedOne }, 1],
  ['removed while waiting is 1', { kind: 'result', result: { ...result, state: 'removed' } }, 1],
  ['a failure is 1', { kind: 'failed', code: 'store.diskFull', message: '', cure: '' }, 1],
  [
    'a job that waits for a person is 1',
    { kind: 'stopped', code: 'store.diskFull', message: '', cure: '' },
    1,
  ],
  ['a refused preflight is 4', { kind: 'failed', code: 'preflight.refused', message: '', cure: '' }, 4],
  ['an end from outside is 5', { kind: 'ended', message: '' }, 5],
])('%s', (_name, outcome, code) => {
  expect(exitCodeOfOutcome(outcome)).toBe(code);
});

test.each([
  ['definition.invalid', 2],
  ['job.notFound', 2],
  ['temporal.unreachable', 3],
  ['store.authentication', 3],
  ['job.noWorker', 3],
  ['preflight.refused', 4],
  ['job.refused', 1],
] as const)('an error %s of a command ends with %i', (code, expected) => {
  expect(exitCodeOf(code)).toBe(expected);
});

test('amounts are short', () => {
  expect([0, 999, 1_000, 999_950, 156_630_260, 2e12].map(bytesText)).toEqual([
    '0 B',
    '999 B',
    '1.0 KB',
    '1.0 MB',
    '156.6 MB',
    '2.0 TB',
  ]);
  expect([450, 12_000, 75_000, 7_260_000].map(durationText)).toEqual([
    '0.5 s',
    '12 s',
    '1 min 15 s',
    '2 h 1 min',
  ]);
});

test('a table is as wide as its texts and has no trailing spaces', () => {
  const columns = [
    { title: 'NAME', text: (row: [string, string]) => row[0] },
    { title: 'N', right: true, text: (row: [string, string]) => row[1] },
    { title: 'X', text: () => '' },
  ];
  expect(tableLines(columns, [['a', '10']])).toEqual(['NAME   N  X', 'a     10']);
});
