import { expect, it } from 'vitest';
import { backupIdOf } from '../../planning/backup-id.ts';

const first = { job: 'trades', run: 'one', scheduledTime: '2026-01-01T14:30:00Z' };

it('names a backup by when its run was due, in UTC, and by job and run', () => {
  expect(backupIdOf(first)).toMatch(/^20260101T143000000Z-[0-9a-f]{8}$/);
  expect(backupIdOf({ ...first, scheduledTime: '2026-01-01T22:30:00+08:00' })).toBe(backupIdOf(first));
});

it('gives another name to another run or job of the same time, and sorts by time', () => {
  const ids = [first, { ...first, run: 'two' }, { ...first, job: 'quotes' }].map(backupIdOf);
  expect(new Set(ids).size).toBe(3);
  const later = backupIdOf({ ...first, scheduledTime: '2026-01-01T14:30:00.001Z' });
  expect(ids.every((id) => id < later)).toBe(true);
});
