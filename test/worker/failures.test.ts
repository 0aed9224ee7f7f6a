import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { expect, test } from 'vitest';
import { SynclineError } from '../../definitions/errors.ts';
import { toFailure } from '../../worker/failures.ts';
import { Redaction } from '../../worker/redaction.ts';

const redaction = new Redaction();
redaction.add('hunter22');

test('an error of ours becomes a failure with its code as type, its details and no stack', () => {
  const cause = new Error('row (1, secret value)');
  const error = new SynclineError('store.lockTimeout', 'A lock on public.t.', {
    details: { table: 'public.t' },
    cause,
  });
  expect(toFailure(error, redaction)).toMatchObject({
    type: 'store.lockTimeout',
    message: 'A lock on public.t.',
    nonRetryable: false,
    details: [{ table: 'public.t' }],
    cause: undefined,
    stack: '',
  });
});

test('what needs a fix first is not retried by Temporal', () => {
  expect(toFailure(new SynclineError('store.diskFull', 'Full.'), redaction)).toMatchObject({
    nonRetryable: true,
  });
});

test('a secret in a message or detail is blanked', () => {
  const error = new SynclineError('store.statement', 'for hunter22', { details: { role: 'hunter22' } });
  expect(toFailure(error, redaction)).toMatchObject({
    message: 'for [redacted]',
    details: [{ role: '[redacted]' }],
  });
});

test('of an error that nobody expected only its class leaves the process', () => {
  const failure = toFailure(new TypeError('cannot read "4711, Miller"'), redaction);
  expect(failure).toMatchObject({ type: 'internal.unexpected', nonRetryable: false });
  expect(failure.message).toContain('TypeError');
  expect(failure.message).not.toContain('Miller');
});

test('a failure made by an activity keeps its type and loses its cause', () => {
  const made = ApplicationFailure.create({
    type: 'job.refused',
    message: 'hunter22',
    cause: new Error('row'),
  });
  expect(toFailure(made, redaction)).toMatchObject({
    type: 'job.refused',
    message: '[redacted]',
    cause: undefined,
  });
});

test('a cancellation stays one', () => {
  const cancelled = new CancelledFailure('cancelled');
  expect(toFailure(cancelled, redaction)).toBe(cancelled);
});
