import { expect, test } from 'vitest';
import { chosen, type JobTrace, addressOf, addressOfId } from '../../worker/jobs/job-address.ts';
import { type OpenedLedger, presentOf } from '../../worker/jobs/ledger.ts';
import { skippedUnits } from '../../worker/jobs/outcome.ts';
import { backupLines, listLines, verifiedLines } from '../../cli/render/backups.ts';
import { planLines } from '../../cli/render/plan.ts';
import { progressLine } from '../../cli/render/progress.ts';
import { statusLines } from '../../cli/render/status.ts';
import { exitCodeOfOutcome, summaryLines, summaryOf } from '../../cli/render/summary.ts';
import { queuesOf, siteQueueOf } from '../../cli/sites.ts';
import type { BackupRestoreResult } from '../../definitions/contracts/backup-restore.ts';
import { type BackupStage, backupStages, type ResolvedJob } from '../../definitions/contracts/job.ts';
import type { JobStatus, StageStatus } from '../../definitions/contracts/status.ts';
import { parseJobFiles } from '../../definitions/parse.ts';
import { resolveJob } from '../../definitions/resolve.ts';
import { parseStoresFile } from '../../definitions/stores-file.ts';
import type { BackupSummary } from '../../stores/spi/artifact.ts';
import type { LoadLedger } from '../../stores/spi/load-ledger.ts';

// What the command line shows of a job with stages, and of backups: pure, no server.

const backup = '20260101T143000000Z-1f3a5b7c';

function stageOf(stage: BackupStage, state: StageStatus['state'], done = 0): StageStatus {
  const chunks = { total: 10, done, skipped: 0, inFlight: 0 };
  return {
    stage,
    state,
    backup: state === 'waiting' ? null : backup,
    chunks,
    rows: done * 100,
    bytes: done * 1_000,
  };
}

const result: BackupRestoreResult = {
  ...{ name: 'offsite', kind: 'backup-restore', state: 'done', backup },
  chunks: { total: 10, done: 10, skipped: 0 },
  ...{ rows: 1000, bytes: 10_000, ms: 900, skipped: [], warnings: [] },
  stages: backupStages.map((stage) => stageOf(stage, 'done', 10)),
};

const status: JobStatus = {
  ...{ name: 'offsite', kind: 'backup-restore', phase: 'load', state: 'running', needsAttention: false },
  ...{ reason: null, reasonCode: null, bytes: 5_000, plannedBytes: 10_000 },
  chunks: { total: 10, done: 5, skipped: 0, inFlight: 1 },
  rows: { read: 500, written: 500, skipped: 0 },
  ...{ lagMs: null, lagBytes: null, position: null, consistentAt: null },
  ...{ startedAt: '2026-01-01T00:00:00.000Z', endedAt: null },
  onFailure: { mode: 'slow', attempts: 30 },
  stage: 'transfer',
  stages: [stageOf('backup', 'done', 10), stageOf('transfer', 'running', 5), stageOf('restore', 'waiting')],
};

test('the summary of a job with stages names the backup and every stage', () => {
  const summary = summaryOf({
    ...{ name: 'offsite', kind: 'backup-restore', seconds: 2, status },
    outcome: { kind: 'result', result },
  });
  expect(summary).toEqual({
    ...{
      name: 'offsite',
      kind: 'backup-restore',
      state: 'done',
      rows: 1000,
      bytes: 10_000,
      seconds: 2,
      backup,
    },
    chunks: { total: 10, done: 10, skipped: 0 },
    stages: result.stages,
  });
  expect(summaryLines(summary)).toEqual([
    'backup-restore/offsite: done',
    '  STAGE     STATE  BACKUP                        CHUNKS  SKIPPED   ROWS    BYTES',
    `  backup    done   ${backup}   10/10        0  1,000  10.0 KB`,
    `  transfer  done   ${backup}   10/10        0  1,000  10.0 KB`,
    `  restore   done   ${backup}   10/10        0  1,000  10.0 KB`,
    `  in 2.0 s, backup ${backup}`,
  ]);
});

test('a run that failed in a stage still tells what became of those before', () => {
  const summary = summaryOf({
    ...{ name: 'offsite', kind: 'backup-restore', seconds: 2, status },
    outcome: { kind: 'failed', code: 'store.diskFull', message: 'Full.', cure: 'Free space.' },
  });
  expect(summary).toMatchObject({
    state: 'failed',
    backup,
    stages: [{ state: 'done' }, { state: 'running' }, {}],
  });
});

test('a chunk that an early stage set aside makes the run end with 1, though the last stage is whole', () => {
  const [first, ...rest] = result.stages;
  const chunks = { total: 10, done: 9, skipped: 1, inFlight: 0 };
  const skipping = { ...result, stages: [{ ...(first ?? stageOf('backup', 'done')), chunks }, ...rest] };
  expect(skippedUnits(skipping)).toBe(1);
  expect(exitCodeOfOutcome({ kind: 'result', result: skipping })).toBe(1);
  expect(exitCodeOfOutcome({ kind: 'result', result })).toBe(0);
});

test('progress names the stage, and its rate counts from when the stage was first seen', () => {
  const stageSinceMs = Date.parse(status.startedAt) + 60_000;
  const line = progressLine({ atMs: stageSinceMs + 5_000, status, stageSinceMs, inFlight: [] });
  expect(line).toBe('transfer 2/3  [############............]  50%  500 rows  5.0 KB  1.0 KB/s  5.0 s left');
});

test('the status shows where each stage is', () => {
  const text = statusLines(status, Date.parse(status.startedAt)).join('\n');
  expect(text).toContain('backup-restore/offsite: running (transfer, load)');
  expect(text).toMatch(/backup +done[^]*transfer +running[^]*restore +waiting/);
});

function jobOf(text: string): ResolvedJob {
  const { jobs, diagnostics } = parseJobFiles([{ file: 'job.yaml', text }]);
  expect(diagnostics).toEqual([]);
  const [job] = jobs;
  if (job === undefined) throw new Error('The text holds no job.');
  return resolveJob(job);
}

const offsite = `kind: backup-restore
name: offsite
source: { store: prod, tables: [public.trades] }
backup: { store: vault, path: trades/ }
transfer: { to: { store: far, path: trades/ } }
restore: { store: dr }
`;

test('a plan shows its stages, and what is not known before the stage before has run', () => {
  const lines = planLines(jobOf(offsite), {
    ...{
      chunks: 10,
      bytes: 10_000,
      tables: [],
      slowPath: [],
      notCarried: [],
      findings: [],
      consistency: 'snapshot',
    },
    stages: [
      { stage: 'backup', from: 'prod', to: 'vault:trades', chunks: 10, bytes: 10_000 },
      { stage: 'restore', from: 'vault:trades', to: 'dr', chunks: null, bytes: null },
    ],
  });
  expect(lines).toEqual([
    'backup-restore/offsite: prod to vault to far to dr',
    '  STAGE    FROM          TO            CHUNKS    BYTES',
    '  backup   prod          vault:trades      10  10.0 KB',
    '  restore  vault:trades  dr                 ?        ?',
    '  all chunks show the source at one instant',
    '  preflight passed; nothing was written',
  ]);
});

const trace = (kind: 'copy' | 'backup-restore', more: Partial<JobTrace> = {}): JobTrace => ({
  ...{ address: addressOf(kind, 'trades'), there: true, removed: false },
  ...more,
});

test('a name stands for the one job that has it, living before removed', () => {
  expect(chosen('trades', [trace('copy', { there: false }), trace('backup-restore')])?.workflowId).toBe(
    'backup-restore/trades',
  );
  expect(chosen('trades', [trace('copy', { removed: true }), trace('backup-restore')])?.kind).toBe(
    'backup-restore',
  );
  expect(chosen('trades', [trace('copy', { removed: true })])?.kind).toBe('copy');
  expect(chosen('trades', [trace('copy', { there: false })])).toBeNull();
  expect(() => chosen('trades', [trace('copy'), trace('backup-restore')])).toThrow(
    'copy/trades, backup-restore/trades',
  );
  expect(addressOfId('backup-restore/trades')).toMatchObject({ kind: 'backup-restore', name: 'trades' });
  expect(addressOfId('trades')).toBeNull();
});

function opened(stage: BackupStage, load: string | null): OpenedLedger {
  const ref = { job: 'offsite', load: load ?? '', run: 'r', sourceStore: 's', targetStore: 't' };
  const totals = { units: 1, chunks: 1, bytes: 1, tables: 1 };
  // Only the names of the loads count.
  return { stage, ledger: {} as LoadLedger, load: load === null ? null : { ref, totals, tables: [] } };
}

test.each<[string, (string | null)[], BackupStage]>([
  ['nothing is planned yet', [null, null, null], 'backup'],
  ['a second backup is made after a whole first run', ['backup:2', 'transfer:1', 'backup:1@run'], 'backup'],
  ['it is being moved', ['backup:2', 'transfer:2', 'backup:1@run'], 'transfer'],
  ['it is being restored', ['backup:2', 'transfer:2', 'backup:2@run'], 'restore'],
])('the ledgers tell which stage a job is in: %s', (_name, loads, expected) => {
  expect(presentOf(backupStages.map((stage, index) => opened(stage, loads[index] ?? null)))?.stage).toBe(
    expected,
  );
});

test('a job takes the task queues of its own stores along, and a missing variable is no silent default', () => {
  const { config } = parseStoresFile(
    `stores:
  vault: { kind: directory, path: /v }
  far: { kind: directory, path: /f, taskQueue: '\${SITE:dr-site}' }
  dr: { kind: postgres, url: x, taskQueue: dr-site }
  other: { kind: directory, path: /o, taskQueue: other-site }
  unclear: { kind: directory, path: /o, taskQueue: '\${NOT_SET_HERE}' }
`,
    { file: 'syncline.yaml' },
  );
  if (config === null) throw new Error('The stores are not valid.');
  expect(queuesOf(jobOf(offsite), config)).toEqual({ far: 'dr-site', dr: 'dr-site' });
  const copy = 'kind: copy\nname: x\nsource: { store: vault, tables: [a.b] }\ntarget: { store: far }\n';
  expect(queuesOf(jobOf(copy), config)).toBeUndefined();
  const surroundings = { env: {}, readFile: () => null };
  expect(() => siteQueueOf(config, 'unclear', surroundings)).toThrow('NOT_SET_HERE');
});

const summary: BackupSummary = {
  ...{ backup, job: 'offsite', scope: 'window', createdAt: '2026-01-01T14:30:05.000Z' },
  ...{ scheduledTime: '2026-01-01T14:30:00.000Z', tables: ['public.trades'], chunks: 10, rows: 1000 },
  ...{ bytes: 10_000, storedBytes: 3_000, referredBytes: 0, basedOn: null, compression: 'zstd' },
  ...{ keyId: '0123456789abcdef', consistency: 'chunk', skippedUnits: 2 },
  windows: [{ table: 'public.trades', window: { column: 'ts', from: null, to: '2026-01-01' } }],
};

test('a manifest that cannot be read is in the list, with its cure', () => {
  const lines = listLines([summary], [{ backup: 'torn', code: 'artifact.corrupt', message: 'no JSON' }]);
  expect(lines).toHaveLength(5);
  expect(lines[2]).toBe('BROKEN torn: no JSON (artifact.corrupt)');
  expect(lines[3]).toMatch(/^ +cure: /);
});

test('a backup shows its window, its key and what was set aside', () => {
  const text = backupLines(summary, []).join('\n');
  expect(text).toContain('public.trades: ts in [-∞, 2026-01-01)');
  expect(text).toContain('key 0123456789abcdef');
  expect(text).toContain('2 units set aside');
});

test('a verified backup is one line, a bad one names each object', () => {
  expect(verifiedLines({ backup, objects: 3, bytes: 2_000, rows: 10, bad: [] })).toEqual([
    `ok   ${backup}: 3 objects, 2.0 KB, 10 rows read`,
  ]);
  const bad = [{ object: 'data/x/1', chunk: 'public.x', code: 'files.missing', message: 'it is not there' }];
  const text = verifiedLines({ backup, objects: 3, bytes: 2_000, rows: null, bad }).join('\n');
  expect(text).toContain('data/x/1 (public.x): it is not there (files.missing)');
});
