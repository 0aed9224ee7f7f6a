import { CancelledFailure, Context } from '@temporalio/activity';
import { SynclineError } from '../definitions/errors.ts';

/** The server throttles what it stores; the worker's `maxHeartbeatThrottleInterval` is 3 s, the time-out 10 s. */
const everyMs = 1_000;

/**
 * Heartbeats on a timer while `work` runs, so that one slow statement does not look like a dead worker, and turns
 * whatever a cancelled attempt throws into a cancellation: its sessions were cut on purpose.
 */
export async function withHeartbeat<T>(
  details: () => object,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const context = Context.current();
  const signal = context.cancellationSignal;
  const beat = (): void => context.heartbeat(details());
  beat();
  const timer = setInterval(beat, everyMs);
  try {
    return await work(signal);
  } catch (error) {
    if (signal.aborted && !isFinal(error)) throw cancellation(signal);
    throw error;
  } finally {
    clearInterval(timer);
  }
}

/** A verification that failed stays a failure even when a cancellation came at the same time. */
function isFinal(error: unknown): boolean {
  return error instanceof SynclineError && error.code.startsWith('verify.');
}

function cancellation(signal: AbortSignal): CancelledFailure {
  return signal.reason instanceof CancelledFailure
    ? signal.reason
    : new CancelledFailure('The activity was cancelled.');
}
