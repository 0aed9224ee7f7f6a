import type { LogChange, LogPiece, LogPosition } from '../../../stores/spi/log.ts';

export interface BatchLimits {
  readonly changes: number;
  readonly bytes: number;
}

/** Pieces taken together. */
export interface ReadBatch {
  readonly changes: readonly LogChange[];
  /** Null: it ends inside of a transaction. */
  readonly position: LogPosition | null;
  readonly transactions: number;
  readonly bytes: number;
}

/**
 * Reads the log while the target works on the batch before: what has come meanwhile is the next batch, up to its limits. So
 * batches are small while the target keeps up, and grow when it does not.
 */
export class ReadAhead {
  private readonly limits: BatchLimits;
  private readonly pieces: LogPiece[] = [];
  private changes = 0;
  private bytes = 0;
  private ended: { readonly error: unknown } | null = null;
  private stopped = false;
  private wakeReader: (() => void) | null = null;
  private wakeTaker: (() => void) | null = null;
  /** When something was last read. */
  lastReadAtMs: number | null = null;

  constructor(source: AsyncIterable<LogPiece>, limits: BatchLimits) {
    this.limits = limits;
    void this.readAll(source);
  }

  /** What has come, at least one piece; null when nothing came within `waitMs`. Throws what ended the reading. */
  async next(waitMs: number): Promise<ReadBatch | null> {
    if (this.pieces.length === 0 && this.ended === null) await this.untilRead(waitMs);
    if (this.pieces.length === 0) {
      if (this.ended !== null) throw this.ended.error;
      return null;
    }
    const taken: LogPiece[] = [];
    const sum = { changes: 0, bytes: 0 };
    for (let piece = this.pieces[0]; piece !== undefined; piece = this.pieces[0]) {
      if (taken.length > 0 && this.isFull(sum)) break;
      this.pieces.shift();
      taken.push(piece);
      sum.changes += piece.changes.length;
      sum.bytes += piece.bytes;
    }
    this.changes -= sum.changes;
    this.bytes -= sum.bytes;
    this.wakeReader?.();
    return joined(taken);
  }

  /** Reads no further; whoever reads the log closes it. */
  stop(): void {
    this.stopped = true;
    this.wakeReader?.();
  }

  private isFull({ changes, bytes }: BatchLimits): boolean {
    return changes >= this.limits.changes || bytes >= this.limits.bytes;
  }

  private async readAll(source: AsyncIterable<LogPiece>): Promise<void> {
    try {
      for await (const piece of source) {
        this.lastReadAtMs = Date.now();
        this.pieces.push(piece);
        this.changes += piece.changes.length;
        this.bytes += piece.bytes;
        this.wakeTaker?.();
        while (this.isFull({ changes: this.changes, bytes: this.bytes }) && !this.stopped) {
          await new Promise<void>((resolve) => (this.wakeReader = resolve));
        }
        if (this.stopped) return;
      }
      throw new Error('The log ended.');
    } catch (error) {
      this.ended = { error };
      this.wakeTaker?.();
    }
  }

  private async untilRead(waitMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, waitMs);
      this.wakeTaker = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.wakeTaker = null;
  }
}

function joined(pieces: readonly LogPiece[]): ReadBatch {
  const [only] = pieces;
  if (only !== undefined && pieces.length === 1) return only;
  return {
    changes: pieces.flatMap(({ changes }) => changes),
    position: pieces.at(-1)?.position ?? null,
    transactions: pieces.reduce((sum, { transactions }) => sum + transactions, 0),
    bytes: pieces.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}
