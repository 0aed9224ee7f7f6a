import { expect, test } from 'vitest';
import type { JobStatus, StageStatus } from '../../definitions/contracts/status.ts';
import { detailsOf } from '../../workflows/status-details.ts';

const chunks = { total: 10, done: 4, skipped: 0, inFlight: 2 };
const status: JobStatus = {
  name: 'trades',
  kind: 'backup-restore',
  phase: 'load',
  state: 'running',
  needsAttention: false,
  reason: null,
  reasonCode: null,
  chunks,
  rows: { read: 40, written: 40, skipped: 0 },
  bytes: 4e6,
  plannedBytes: 10e6,
  lagMs: null,
  lagBytes: null,
  position: null,
  consistentAt: null,
  startedAt: '2026-01-01T00:00:00.000Z',
  endedAt: null,
  onFailure: { mode: 'slow', attempts: 30 },
};

test('the UI shows every stage of a job on a line of its own, and which one the figures speak of', () => {
  const stage: StageStatus = {
    ...{ stage: 'backup', state: 'done', backup: '20260101T000000000Z-00112233' },
    ...{ chunks: { total: 10, done: 10, skipped: 0, inFlight: 0 }, rows: 100, bytes: 10e6 },
  };
  const running: StageStatus = { ...stage, stage: 'restore', state: 'running', chunks, rows: 40, bytes: 4e6 };
  const text = detailsOf({ ...status, stage: 'restore', stages: [stage, running] }, 40);
  expect(text).toContain('| state | **running** (restore: load) |');
  expect(text).toContain('| backup | done | 10 of 10 | 0 | 100 | 10.0 MB | 20260101T000000000Z-00112233 |');
  expect(text).toContain('| restore | running | 4 of 10 | 0 | 40 | 4.0 MB | 20260101T000000000Z-00112233 |');
});

test('a job without stages has no table of them', () => {
  const text = detailsOf({ ...status, kind: 'copy' }, 40);
  expect(text).toContain('**running** (load)');
  expect(text).not.toContain('stage');
});
