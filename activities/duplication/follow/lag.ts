import type { LogChange, LogTransaction } from '../../../stores/spi/log.ts';
import type { BatchRecord } from '../../../stores/spi/log-target.ts';

/** The commits of a batch that is not committed here yet. */
export class CommitTimes {
  private startedAtMs = 0;
  private readonly committedAtMs: number[] = [];
  private last: LogTransaction | null = null;

  add(changes: readonly LogChange[]): void {
    if (this.startedAtMs === 0) this.startedAtMs = Date.now();
    for (const { transaction } of changes) {
      if (transaction === this.last) continue;
      this.last = transaction;
      this.committedAtMs.push(transaction.committedAtMs);
    }
  }

  /** Null: nothing was committed at the source. */
  record(laggingAfterMs: number): BatchRecord | null {
    if (this.committedAtMs.length === 0) return null;
    const now = Date.now();
    const lags = this.committedAtMs.map((at) => Math.max(0, now - at)).sort((one, other) => one - other);
    const share = (part: number): number =>
      lags[Math.min(lags.length - 1, Math.floor(lags.length * part))] ?? 0;
    return {
      startedAtMs: this.startedAtMs,
      lagP50Ms: share(0.5),
      lagP99Ms: share(0.99),
      lagMaxMs: lags.at(-1) ?? 0,
      lagging: lags.filter((lag) => lag > laggingAfterMs).length,
    };
  }
}

const silenceMs = 2_500;

/**
 * How late the target is. A committed batch tells, and so does a sign of the source that there is nothing more; while neither
 * comes, the lag grows by itself: a silent source is not one without changes.
 */
export class LagMeter {
  private lagMs: number | null = null;
  private knownAtMs = Date.now();

  /** `null`: nothing is left to do. */
  note(record: Pick<BatchRecord, 'lagMaxMs'> | null): void {
    this.lagMs = record?.lagMaxMs ?? 0;
    this.knownAtMs = Date.now();
  }

  get ms(): number | null {
    const silent = Date.now() - this.knownAtMs;
    return this.lagMs === null ? null : this.lagMs + (silent > silenceMs ? silent : 0);
  }
}
