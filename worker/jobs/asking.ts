import type { StoreProvider } from '../../stores/spi/store.ts';
import type { TemporalAccess } from '../connection.ts';

/** Who wants to know of jobs: a command, or a worker that is asked over HTTP. */
export interface Asking {
  readonly access: TemporalAccess;
  stores(): Promise<StoreProvider>;
  /** Told of what could not be asked. */
  note(text: string): void;
}
