import type { Logger } from 'pino';

export interface Drainable {
  /** Stops taking work; chunks in flight may end within the grace time, then they are cancelled. */
  drain(): void;
}

const endedBySignal: Readonly<Record<string, number>> = { SIGINT: 130, SIGTERM: 143 };

/** First SIGTERM or SIGINT drains, the second ends at once. Returns what removes the handlers. */
export function drainOnSignals(worker: Drainable, log: Logger): () => void {
  let draining = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (draining) {
      log.warn({ signal }, 'second signal: ending at once; the ledger knows what is done');
      process.exit(endedBySignal[signal] ?? 1);
    }
    draining = true;
    log.info({ signal }, 'draining: no new work is taken; a second signal ends at once');
    worker.drain();
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  return () => {
    process.off('SIGTERM', onSignal);
    process.off('SIGINT', onSignal);
  };
}
