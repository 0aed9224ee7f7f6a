import { defaultPayloadConverter } from '@temporalio/common';
import { expect, test } from 'vitest';
import type { LinkProgress, LinkStatus } from '../../../definitions/contracts/duplication.ts';
import type { JobStatus } from '../../../definitions/contracts/status.ts';
import { liveLinks, withLiveLinks } from '../../../worker/jobs/link-heartbeats.ts';
import { duplicationStatus, linkProgress, linkStatus } from '../../support/link-status.ts';

const nowMs = Date.parse('2026-01-01T00:00:00Z');

function pending(details: object, ageMs = 1_000) {
  return {
    heartbeatDetails: { payloads: [defaultPayloadConverter.toPayload(details)] },
    lastHeartbeatTime: { seconds: Math.floor((nowMs - ageMs) / 1000) },
  } as unknown as Parameters<typeof liveLinks>[0][number];
}

function following(target: string, progress: Partial<LinkProgress>) {
  return { ...linkProgress(progress), target, doing: 'following' };
}

function shown(status: JobStatus, ...told: ReturnType<typeof pending>[]): JobStatus {
  return withLiveLinks(status, liveLinks(told), nowMs);
}

function progressOf(status: JobStatus, target: string): LinkProgress | null | undefined {
  return status.links?.find((link: LinkStatus) => link.target === target)?.progress;
}

test('what a link says while it is followed takes the place of what the workflow knew', () => {
  const status = duplicationStatus([linkStatus('dr', { position: 'old', lagMs: 9_000 })]);
  const live = shown(status, pending(following('dr', { position: 'new', lagMs: 20, consistentAt: 'c' })));
  expect(progressOf(live, 'dr')).toMatchObject({ position: 'new', lagMs: 20 });
  expect(live).toMatchObject({ position: 'new', lagMs: 20, consistentAt: 'c' });
});

test('loads and follows that have not begun yet say nothing of a link', () => {
  const status = duplicationStatus([linkStatus('dr', { position: 'old' })]);
  const load = { chunk: 'public.t', step: 'copying', unitsDone: 0, units: 1, rows: 1, bytes: 1 };
  expect(shown(status, pending(load), pending({ target: 'dr', doing: 'waiting' }))).toEqual(status);
});

test('of two activities of a link the one that spoke last counts', () => {
  const status = duplicationStatus([linkStatus('dr', {})]);
  const live = shown(
    status,
    pending(following('dr', { position: 'newer' }), 1_000),
    pending(following('dr', { position: 'older' }), 5_000),
  );
  expect(progressOf(live, 'dr')?.position).toBe('newer');
});

test('the lag of a link whose worker has fallen silent grows', () => {
  const status = duplicationStatus([linkStatus('dr', {})]);
  const live = shown(status, pending(following('dr', { lagMs: 50 }), 60_000));
  expect(progressOf(live, 'dr')?.lagMs).toBe(60_050);
});

test('above all links stands the one that is furthest behind', () => {
  const status = duplicationStatus([linkStatus('dr', {}), linkStatus('reporting', {})]);
  const live = shown(
    status,
    pending(following('dr', { lagMs: 10, consistentAt: 'c' })),
    pending(following('reporting', { lagMs: 700, consistentAt: 'd' })),
  );
  expect(live).toMatchObject({ lagMs: 700, consistentAt: 'd' });
  const behind = shown(
    status,
    pending(following('dr', { lagMs: 10, consistentAt: null })),
    pending(following('reporting', { lagMs: 700, consistentAt: 'd' })),
  );
  expect(behind).toMatchObject({ lagMs: 10, consistentAt: null });
});

test('a status without links stays as it is', () => {
  const copy = Object.fromEntries(
    Object.entries(duplicationStatus([])).filter(([key]) => key !== 'links'),
  ) as unknown as JobStatus;
  expect(shown(copy, pending(following('dr', {})))).toEqual(copy);
});
