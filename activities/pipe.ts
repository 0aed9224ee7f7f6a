import { Transform, type TransformCallback } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RowStream } from '../stores/spi/rows.ts';

/**
 * What stands between reader and writer: counts bytes, keeps to the rate, and says when rows are on their way.
 * Bytes pass as they are; back-pressure goes through.
 */
export interface PipeOptions {
  readonly throttleBytesPerSecond?: number;
  readonly onBytes: (bytes: number) => void;
  /** Called once, when the first rows have passed. */
  readonly onFirst: () => Promise<void>;
  readonly signal: AbortSignal;
}

export function pipeThrough(rows: RowStream, options: PipeOptions): RowStream {
  const meter = new Meter(options);
  // Rows flow before the writer listens (it still makes its table). An error that nobody listens for would end the
  // whole process; it stays with the stream, and the writer meets it at its first read.
  meter.on('error', () => undefined);
  // `pipeline` would need a last stream; the writer is the consumer, so errors are handed on by hand.
  rows.bytes.on('error', (error) => meter.destroy(error));
  // The writer may still be making its table: it meets the error when it begins to read.
  meter.on('error', () => undefined);
  meter.on('close', () => {
    if (!rows.bytes.readableEnded) rows.bytes.destroy();
  });
  return { ...rows, bytes: rows.bytes.pipe(meter) };
}

class Meter extends Transform {
  private readonly options: PipeOptions;
  private first = true;
  private readonly startedAt = performance.now();
  private passed = 0;

  constructor(options: PipeOptions) {
    super({ readableHighWaterMark: 128 * 1024, writableHighWaterMark: 128 * 1024 });
    this.options = options;
  }

  override _transform(piece: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    this.passed += piece.length;
    this.options.onBytes(piece.length);
    const delayMs = this.delayMs();
    if (!this.first && delayMs < 5) {
      callback(null, piece);
      return;
    }
    this.wait(delayMs).then(
      () => callback(null, piece),
      (error: unknown) => callback(error instanceof Error ? error : new Error('stopped')),
    );
  }

  private async wait(delayMs: number): Promise<void> {
    if (this.first) {
      this.first = false;
      await this.options.onFirst();
    }
    if (delayMs >= 5) await sleep(delayMs, undefined, { signal: this.options.signal });
  }

  /** How far we are ahead of the rate. */
  private delayMs(): number {
    const rate = this.options.throttleBytesPerSecond;
    if (rate === undefined) return 0;
    return (this.passed / rate) * 1_000 - (performance.now() - this.startedAt);
  }
}
