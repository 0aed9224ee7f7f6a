/** Buffers that one unit in flight can fill: both sockets, the pipe, and the read-ahead of a small chunk. */
export const unitBufferBytes = 16 * 1024 * 1024;

export interface BudgetRequest {
  readonly job: string;
  /** Bound on the buffers of the job in this process. */
  readonly memoryBytes: number;
  /** Ends the wait; whoever waits then throws its reason. */
  readonly signal: AbortSignal;
}

interface JobState {
  used: number;
  readonly waiting: Set<() => void>;
}

/**
 * Holds units back when the buffers of a job would exceed its `memory` in this process. First come, first served;
 * one unit is always let through, or a small setting would stop the job.
 */
export class MemoryBudget {
  private readonly jobs = new Map<string, JobState>();

  async use<T>(request: BudgetRequest, work: () => Promise<T>): Promise<T> {
    const state = this.jobs.get(request.job) ?? { used: 0, waiting: new Set() };
    this.jobs.set(request.job, state);
    const slots = Math.max(1, Math.floor(request.memoryBytes / unitBufferBytes));
    while (state.used >= slots) await turn(state, request.signal);
    state.used += 1;
    try {
      return await work();
    } finally {
      state.used -= 1;
      const [next] = state.waiting;
      next?.();
      if (state.used === 0 && state.waiting.size === 0) this.jobs.delete(request.job);
    }
  }
}

/** Resolves when a unit ended. A pause must not wait for that. */
async function turn({ waiting }: JobState, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const stop = (): void => {
      waiting.delete(go);
      reject(signal.reason instanceof Error ? signal.reason : new Error('The wait was given up.'));
    };
    const go = (): void => {
      waiting.delete(go);
      signal.removeEventListener('abort', stop);
      resolve();
    };
    if (signal.aborted) {
      stop();
      return;
    }
    waiting.add(go);
    signal.addEventListener('abort', stop, { once: true });
  });
}
