import type { Context } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import type { ActivityInboundCallsInterceptor, ActivityInterceptorsFactory } from '@temporalio/worker';
import { type ErrorDetails, SynclineError } from '../definitions/errors.ts';
import { errorFields } from './logging.ts';
import type { Redaction } from './redaction.ts';

/**
 * The last door before a failure enters a history: type = error code, message without secrets, no cause and no
 * stack, because a driver's error holds row values.
 */
export function failureInterceptor(redaction: Redaction): ActivityInterceptorsFactory {
  return (context) => ({ inbound: inbound(context, redaction) });
}

function inbound(context: Context, redaction: Redaction): ActivityInboundCallsInterceptor {
  return {
    async execute(input, next) {
      try {
        return await next(input);
      } catch (error) {
        const failure = toFailure(error, redaction);
        if (!(error instanceof SynclineError) && failure instanceof ApplicationFailure) {
          context.log.error('unexpected error in an activity', { error: errorFields(error) });
        }
        throw failure;
      }
    },
  };
}

export function toFailure(error: unknown, redaction: Redaction): Error {
  if (error instanceof CancelledFailure) return error;
  if (error instanceof ApplicationFailure) return withoutCause(error, redaction);
  if (error instanceof Error && ['AbortError', 'CompleteAsyncError'].includes(error.name)) return error;
  const known = error instanceof SynclineError ? error : unexpected(error);
  const failure = ApplicationFailure.create({
    type: known.code,
    message: known.message,
    nonRetryable: known.retry !== 'automatic',
    details: [redacted(known.details, redaction)],
  });
  return withoutCause(failure, redaction);
}

/** A driver's error may be the cause, and the stack repeats the message and shows paths of this machine. */
function withoutCause(failure: ApplicationFailure, redaction: Redaction): ApplicationFailure {
  return Object.assign(failure, { message: redaction.apply(failure.message), cause: undefined, stack: '' });
}

function unexpected(error: unknown): SynclineError {
  const name = error instanceof Error ? error.name : typeof error;
  return new SynclineError('internal.unexpected', `Unexpected ${name}; its place is in the worker's log.`);
}

function redacted(details: ErrorDetails, redaction: Redaction): ErrorDetails {
  return JSON.parse(redaction.apply(JSON.stringify(details))) as ErrorDetails;
}
