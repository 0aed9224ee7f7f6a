import type { FailMode } from '../../../definitions/contracts/job.ts';
import { SynclineError } from '../../../definitions/errors.ts';
import type { LogPosition } from '../../../stores/spi/log.ts';

/** What is to be done about changes that the target refused. The log is read again from the position that is committed. */
export type Verdict =
  /** Fewer transactions at a time, until the bad one stands alone. */
  | { readonly act: 'halve' }
  /** The transaction at this place is written to the dead letters. */
  | { readonly act: 'setAside'; readonly position: LogPosition }
  /** The table waits in the spool, the others go on. */
  | { readonly act: 'holdTable'; readonly table: string }
  /** Not for the log to cure: the workflow decides. */
  | { readonly act: 'fail' };

export interface Refused {
  readonly error: unknown;
  readonly mode: FailMode;
  /** The job's table that the error names; null: none. */
  readonly table: string | null;
  /** Transactions that were tried together, and the place of the first. */
  readonly transactions: number;
  readonly position: LogPosition | null;
}

/** Design 5, for the log. What passes by itself (network, locks) is tried again as it is; `stop` stops. */
export function verdictOn({ error, mode, table, transactions, position }: Refused): Verdict {
  if (!(error instanceof SynclineError) || !isAboutRows(error)) return { act: 'fail' };
  if (mode === 'slow') return table === null ? { act: 'fail' } : { act: 'holdTable', table };
  if (mode === 'stop' || position === null) return { act: 'fail' };
  return transactions > 1 ? { act: 'halve' } : { act: 'setAside', position };
}

/** A server that is full or away, and a writer that was superseded, say nothing about a transaction. */
function isAboutRows({ code, retry }: SynclineError): boolean {
  const servers = ['store.', 'fault.', 'internal.'].some((family) => code.startsWith(family));
  return retry !== 'automatic' && (!servers || code === 'store.statement');
}

/** How many transactions are tried together: all that came, until the target refuses some; then it grows again. */
export class Care {
  private most = Number.POSITIVE_INFINITY;
  /** Transactions that go to the dead letters, with the reason. */
  readonly doomed = new Map<LogPosition, SynclineError>();

  get transactions(): number {
    return this.most;
  }

  halve(tried: number): void {
    this.most = Math.max(1, Math.floor(tried / 2));
  }

  committed(): void {
    this.most = this.most > 1_000_000 ? Number.POSITIVE_INFINITY : this.most * 2;
  }
}
