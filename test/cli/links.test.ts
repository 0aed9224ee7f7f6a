import { expect, test } from 'vitest';
import { againFor, inputOf, routeOf } from '../../cli/client.ts';
import { linkLines, metricsLines, verifiedLinkLines } from '../../cli/render/links.ts';
import { progressLine } from '../../cli/render/progress.ts';
import { statusLines } from '../../cli/render/status.ts';
import { exitCodeOfOutcome, summaryLines, summaryOf } from '../../cli/render/summary.ts';
import { isSettled } from '../../cli/settled.ts';
import type { ResolvedJob } from '../../definitions/contracts/job.ts';
import { parseJobFile } from '../../definitions/parse.ts';
import { resolveJob } from '../../definitions/resolve.ts';
import type { LinkMetrics } from '../../worker/jobs/link-metrics.ts';
import { duplicationStatus, linkStatus } from '../support/link-status.ts';

// What the command line shows of a job with links: pure, no server.

function jobOf(text: string): ResolvedJob {
  const [parsed] = parseJobFile(text, { file: 'f' }).jobs;
  if (parsed === undefined) throw new Error('The text holds no job.');
  return resolveJob(parsed);
}

const duplication = jobOf(
  'kind: duplication\nname: a\nsource: { store: prod, tables: [public.t] }\ntargets: [dr, reporting]\n',
);

test('a duplication goes from its source to all of its targets', () => {
  expect(routeOf(duplication)).toBe('prod to dr, reporting');
});

test('only a duplication is told which side is gone for ever', () => {
  const copy = jobOf(
    'kind: copy\nname: a\nsource: { store: prod, tables: [public.t] }\ntarget: { store: dr }\n',
  );
  const rest = { definitionHash: 'h', intent: 'run' } as const;
  const again = (job: ResolvedJob) =>
    againFor('remove', { input: inputOf(job, rest), taskQueue: 'q' }, 'target').input;
  expect(again(duplication)).toMatchObject({ intent: 'remove', abandon: 'target' });
  expect(again(copy)).not.toHaveProperty('abandon');
});

test('the status shows each link with its phase in both words, and how far it is', () => {
  const status = duplicationStatus([
    linkStatus('dr', { deadTransactions: 1, conflicts: 2 }),
    linkStatus('reporting', { consistentAt: null, lagMs: 65_000 }, { phase: 'load', pegasusPhase: 'DS_APP' }),
  ]);
  const lines = statusLines(status, Date.parse(status.startedAt) + 1_000);
  const table = lines.slice(4, 7).map((line) => line.trim().split(/ {2,}/));
  expect(table[0]?.slice(0, 6)).toEqual(['LINK', 'PHASE', 'STATE', 'LAG', 'BEHIND', 'KEPT']);
  expect(table[1]).toEqual([
    ...['dr', 'log (DS_LOG)', 'running', '120 ms', '4.1 KB', '16.0 MB', '0', '990', '1', '2'],
    ...['0000000001000000', '0000000000900000'],
  ]);
  expect(table[2]?.slice(0, 4)).toEqual(['reporting', 'load (DS_APP)', 'running', '1 min 5 s']);
  expect(table[2]?.at(-1)).toBe('-');
});

test('below the links stands what is wrong with them, with its cure, and each table that is not followed', () => {
  const lines = linkLines([
    linkStatus(
      'dr',
      {
        danger: 'The source will drop the slot soon.',
        tables: [
          { table: 'public.t', state: 'failing', code: 'target.constraint', message: 'constraint c' },
          { table: 'public.u', state: 'paused', code: null, message: null },
        ],
      },
      { state: 'stopped', needsAttention: true, reason: 'Out of order.', reasonCode: 'log.gap' },
    ),
    linkStatus('reporting', null, { phase: 'init', pegasusPhase: 'DS_INIT' }),
  ]);
  expect(lines[1]).toContain('stopped, attention');
  expect(lines[2]).toMatch(/reporting {2}init \(DS_INIT\) +running +- +- +-/);
  expect(lines.slice(3)).toEqual([
    '  dr: Out of order.',
    expect.stringMatching(/^ {2}dr: cure \(log\.gap\): .*resync/) as string,
    '  dr: The source will drop the slot soon.',
    '  dr: table public.t is failing: constraint c (target.constraint)',
    '  dr: table public.u is paused',
  ]);
});

test('progress says how far each target is behind', () => {
  const one = duplicationStatus([linkStatus('dr', {})]);
  const atMs = Date.parse(one.startedAt) + 1_000;
  expect(progressLine({ atMs, status: one, inFlight: [] })).toMatch(/ {2}log 120 ms behind$/);
  const two = duplicationStatus([linkStatus('dr', {}), linkStatus('reporting', null, { phase: 'init' })]);
  expect(progressLine({ atMs, status: two, inFlight: [] })).toMatch(
    / {2}dr log 120 ms behind {2}reporting init$/,
  );
});

test('a duplication is settled when every target is consistent and followed', () => {
  const dr = linkStatus('dr', {});
  expect(isSettled(duplicationStatus([dr]))).toBe(true);
  expect(isSettled(duplicationStatus([dr, linkStatus('reporting', { consistentAt: null })]))).toBe(false);
  expect(isSettled(duplicationStatus([dr, linkStatus('reporting', {}, { phase: 'paused' })]))).toBe(false);
  expect(isSettled(duplicationStatus([dr, linkStatus('reporting', null)]))).toBe(false);
  expect(isSettled(duplicationStatus([]))).toBe(false);
});

test('a settled duplication is summed up with the place of its consistency, and ends the wait with 0', () => {
  const status = duplicationStatus([
    linkStatus('dr', { consistentAt: '0000000000000002' }),
    linkStatus('reporting', { consistentAt: '0000000000000001', lagMs: 80 }),
  ]);
  const outcome = { kind: 'settled', status } as const;
  const summary = summaryOf({ name: 'trades-live', kind: 'duplication', outcome, status, seconds: 3 });
  expect(summary).toEqual({
    ...{ name: 'trades-live', kind: 'duplication', state: 'running' },
    chunks: { total: 8, done: 8, skipped: 0 },
    ...{ rows: 800, bytes: 80_000, seconds: 3, consistentAt: '0000000000000002' },
    links: [
      { target: 'dr', consistentAt: '0000000000000002', lagMs: 120 },
      { target: 'reporting', consistentAt: '0000000000000001', lagMs: 80 },
    ],
  });
  expect(exitCodeOfOutcome(outcome)).toBe(0);
  expect(summaryLines(summary)).toContain('  dr: consistent at 0000000000000002; its log is followed');
  const skipped = { ...status, chunks: { ...status.chunks, skipped: 1 } };
  expect(exitCodeOfOutcome({ kind: 'settled', status: skipped })).toBe(1);
});

test('a comparison names the chunks that differ, and never what is in them', () => {
  const verified = {
    chunks: 8,
    rows: 1_200,
    different: [{ chunk: 'public.t', sourceRows: 1_000, targetRows: 999 }],
  };
  expect(verifiedLinkLines({ target: 'dr', verified })).toEqual([
    '  dr: 8 chunks, 1,200 rows: 1 differ',
    '    public.t: 1,000 rows at the source, 999 on the target',
  ]);
  expect(verifiedLinkLines({ target: 'dr', verified: { ...verified, different: [] } })).toEqual([
    '  dr: 8 chunks, 1,200 rows: equal',
  ]);
});

test('figures are a line for each question', () => {
  const metrics: LinkMetrics = {
    ...{ target: 'dr', windowMs: 30_000, finishedTasks: 59, skippedTasks: 1, unfinishedTasks: null },
    ...{ finishedTasksPerSecond: 2, averageCostMs: 41, maxCostMs: 1_300, averageGroupSize: 12.5 },
    ...{
      transactionsPerSecond: 25,
      changesPerSecond: 1_250,
      shippedBytesPerSecond: 2e6,
      confirmedBytesPerSecond: 3e6,
    },
    ...{ lagP50Ms: 30, lagP99Ms: 800, lagMaxMs: 12_000, laggingTransactions: 4, failedAttempts: 2 },
    now: {
      ...{ lagMs: 15, lagBytes: 0, retainedBytes: 16e6, spooledChanges: 7, spooledBytes: 700 },
      ...{ way: 'stream', lastPullAt: null },
    },
    since: '2026-01-01T00:00:00.000Z',
    totals: {
      ...{ transactions: 100, changes: 5_000, applied: 4_990, filtered: 10, deadTransactions: 1 },
      ...{ conflicts: 3, bytes: 1e6 },
    },
  };
  expect(metricsLines(metrics)).toEqual([
    'dr (last 30 s)',
    '  tasks    59 finished, 1 with something skipped, unfinished: unknown; 2.0/s',
    '  cost     average 41 ms, most 1.3 s a task; 12.5 transactions a task',
    '  lag      p50 30 ms, p99 800 ms, most 12 s; 4 lagging; now 15 ms, 0 B to come',
    '  rates    25.0/s transactions, 1,250/s changes, shipped 2.0 MB/s, confirmed 3.0 MB/s',
    '  waiting  7 changes (700 B) in the spool; 16.0 MB kept for it',
    '  failures 2 attempts at tables that fail; 1 transaction set aside, 3 conflicts since 2026-01-01T00:00:00.000Z',
    '  total    100 transactions, 5,000 changes (4,990 applied, 10 in a snapshot already), 1.0 MB',
  ]);
});
