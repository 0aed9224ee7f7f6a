import {
  ServiceError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { NamespaceNotFoundError } from '@temporalio/common';
import { SynclineError } from '../../definitions/errors.ts';
import type { TemporalTarget } from '../connection.ts';
import { errorCodeOf } from './outcome.ts';

const grpc = { cancelled: 1, deadlineExceeded: 4, permissionDenied: 7, unavailable: 14, unauthenticated: 16 };

export interface Asked {
  readonly target: TemporalTarget;
  /** Name of the job that was asked about. */
  readonly job: string;
}

/** Puts what Temporal's client throws into our words; everything else passes. */
export function translated(error: unknown, { target, job }: Asked): unknown {
  if (error instanceof SynclineError) return error;
  if (error instanceof WorkflowNotFoundError) return notFound(job, target);
  if (error instanceof WorkflowUpdateFailedError) return refusal(error.cause ?? error);
  if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError || isTimeout(error)) return noAnswer(target);
  if (error instanceof NamespaceNotFoundError) {
    return new SynclineError('temporal.refused', `Temporal has no namespace "${target.namespace}".`, {
      cause: error,
    });
  }
  if (isUnavailable(error)) {
    return new SynclineError('temporal.unreachable', `No Temporal server answers at ${target.address}.`, {
      cause: error,
    });
  }
  const code = grpcCode(error);
  if (code === grpc.permissionDenied || code === grpc.unauthenticated) {
    return new SynclineError('temporal.refused', `Temporal at ${target.address} refuses the request.`, {
      cause: error,
    });
  }
  return error;
}

export function notFound(job: string, target: TemporalTarget): SynclineError {
  return new SynclineError('job.notFound', `There is no job "${job}" in namespace "${target.namespace}".`);
}

export function noWorker({ taskQueue }: Pick<TemporalTarget, 'taskQueue'>): SynclineError {
  return new SynclineError('job.noWorker', `No worker answers on task queue "${taskQueue}".`, {
    details: { taskQueue },
  });
}

/** A worker that died a minute ago looks alive; what it was told may still reach its successor. */
function noAnswer({ taskQueue }: TemporalTarget): SynclineError {
  return new SynclineError(
    'job.noWorker',
    `No worker on task queue "${taskQueue}" answered in time; if one comes, the order may still be carried out.`,
    { details: { taskQueue } },
  );
}

export function isUnavailable(error: unknown): boolean {
  return grpcCode(error) === grpc.unavailable;
}

/** A bounded call ran out of its time. */
export function isTimeout(error: unknown): boolean {
  const code = grpcCode(error);
  return code === grpc.deadlineExceeded || code === grpc.cancelled;
}

function grpcCode(error: unknown): number | undefined {
  const inner = error instanceof ServiceError ? error.cause : error;
  return (inner as { code?: number } | undefined)?.code;
}

/** A validator's or the workflow's answer to an Update, in the code it carries. */
function refusal(cause: unknown): SynclineError {
  const message = cause instanceof Error ? cause.message : 'The job refused.';
  return new SynclineError(errorCodeOf(cause) ?? 'job.refused', message, { cause });
}
