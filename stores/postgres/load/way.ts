import type { RowStream } from '../../spi/rows.ts';

/**
 * One way to bring a unit into the target: where rows are written, what is scanned to verify them, and how they
 * become visible. All of it runs inside the one open transaction of the unit; rolling back undoes everything.
 */
export interface Way {
  /** Makes the place and fills it. Answers the rows the server took. */
  fill(rows: RowStream): Promise<number>;
  /** Rows that will be visible, where not all of them will; null: all. After `fill`. */
  kept?(): Promise<number | null>;
  /** Keys, indexes, foreign keys of a fresh table. */
  build(): Promise<void>;
  /** `FROM` of a scan over exactly the rows written. */
  scan(): string;
  /** The last step before the ledger row; may wait for readers and calls `onBlocked` then. */
  publish(onBlocked: (waitedMs: number) => void): Promise<void>;
}
