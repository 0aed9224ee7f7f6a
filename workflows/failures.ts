import { ActivityFailure, ApplicationFailure, CancelledFailure, TimeoutFailure } from '@temporalio/common';
import { type ErrorCode, isErrorCode } from '../definitions/errors.ts';

/** Why a call of an activity ended without result, after all tries that Temporal made by itself. */
export interface CallFailure {
  readonly code: ErrorCode;
  /** Holds no row values: the text of a foreign error stays behind. */
  readonly message: string;
  /** Tries that this call took; 0 when nobody took it up. */
  readonly attempts: number;
  readonly details: readonly unknown[];
}

const longestMessage = 300;

/** `maximumAttempts` is what the call was allowed. Anything but a failed activity is a bug and is thrown on. */
export function callFailureOf(error: unknown, maximumAttempts: number): CallFailure {
  if (!(error instanceof ActivityFailure)) throw error;
  const attempts = error.retryState === 'MAXIMUM_ATTEMPTS_REACHED' ? maximumAttempts : 1;
  const { cause } = error;
  if (cause instanceof ApplicationFailure) {
    const known = cause.type !== undefined && cause.type !== null && isErrorCode(cause.type);
    return known
      ? { code: cause.type, message: shortened(cause.message), attempts, details: cause.details ?? [] }
      : unexpected(attempts);
  }
  if (cause instanceof TimeoutFailure && cause.timeoutType === 'SCHEDULE_TO_START') {
    const message = 'No worker of the site has taken the work; the job waits for one.';
    return { code: 'job.siteDown', message, attempts: 0, details: [] };
  }
  if (cause instanceof TimeoutFailure || cause instanceof CancelledFailure) {
    return { code: 'job.workerLost', message: 'No sign of life from the worker.', attempts, details: [] };
  }
  return unexpected(attempts);
}

function unexpected(attempts: number): CallFailure {
  return {
    code: 'internal.unexpected',
    message: "An error that syncline does not know; it is in the worker's log.",
    attempts,
    details: [],
  };
}

function shortened(message: string): string {
  return message.length > longestMessage ? `${message.slice(0, longestMessage - 1)}…` : message;
}

/** Ends a workflow, or refuses an Update. */
export function failureWith(
  code: ErrorCode,
  message: string,
  details: readonly unknown[] = [],
): ApplicationFailure {
  return ApplicationFailure.nonRetryable(message, code, ...details);
}
