import type { BuiltWorker } from '../built-worker.ts';
import type { Measured } from '../job-run.ts';
import type { TableSize } from '../bench-table.ts';
import type { Stage } from '../stage.ts';

export interface WayRun {
  readonly stage: Stage;
  readonly worker: BuiltWorker;
  readonly size: TableSize;
  /** Empty; removed afterwards. */
  readonly scratch: string;
}

/** One way to bring the table over. */
export interface Way {
  readonly name: string;
  /** Programs that must be installed. */
  readonly needs: readonly string[];
  /** What is there before the clock starts; absent: an empty database. */
  prepare?(run: WayRun): Promise<void>;
  /** Timed from outside, unless it answers its own measurement. */
  copy(run: WayRun): Promise<Measured | null>;
}

/** Chunks in flight of every way that can be told. */
export const parallel = 4;
