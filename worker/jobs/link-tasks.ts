import type { ErrorCode } from '../../definitions/errors.ts';
import type { BatchLine, DeadTransaction } from '../../stores/spi/log-target.ts';
import type { LinkLedger } from './links.ts';

/** One batch, or one transaction that was set aside and waits for `retry`. */
export interface LinkTask {
  readonly target: string;
  /** Of the batch, or of the dead transaction. */
  readonly id: number;
  readonly what: 'batch' | 'transaction';
  readonly state: BatchLine['state'];
  /** ISO 8601. Of a transaction: when it was committed at the source, and when it was set aside. */
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly transactions: number;
  readonly changes: number;
  /** Of a batch. */
  readonly bytes: number | null;
  readonly lagP50Ms: number | null;
  readonly lagP99Ms: number | null;
  /** Positions in the log of the source. */
  readonly from: string | null;
  readonly to: string;
  /** Of a transaction: what it would have changed. */
  readonly tables: readonly string[];
  readonly code: ErrorCode | null;
  readonly reason: string | null;
}

/** The newest batches, and before them every transaction that is set aside: it stays until it is applied after all. */
export async function tasksOf({ ref, target }: LinkLedger, limit: number): Promise<readonly LinkTask[]> {
  const [batches, dead] = await Promise.all([
    target.batches(ref, { ms: null, limit }),
    target.deadTransactions(ref, limit),
  ]);
  return [
    ...dead.map((one) => ofTransaction(ref.target, one)),
    ...batches.map((one) => ofBatch(ref.target, one)),
  ];
}

function ofBatch(target: string, batch: BatchLine): LinkTask {
  const { id, state, transactions, changes, bytes, lagP50Ms, lagP99Ms, from, to, code } = batch;
  return {
    ...{ target, id, what: 'batch', state },
    startedAt: new Date(batch.startedAtMs).toISOString(),
    finishedAt: new Date(batch.finishedAtMs).toISOString(),
    ...{ transactions, changes, bytes, lagP50Ms, lagP99Ms, from, to, tables: [], code, reason: null },
  };
}

function ofTransaction(target: string, dead: DeadTransaction): LinkTask {
  const { id, transaction, changes, tables, code, message } = dead;
  return {
    ...{ target, id, what: 'transaction', state: 'skipped' },
    startedAt: new Date(transaction.committedAtMs).toISOString(),
    finishedAt: dead.setAsideAt,
    ...{ transactions: 1, changes, bytes: null, lagP50Ms: null, lagP99Ms: null },
    ...{ from: null, to: transaction.position, tables, code, reason: message },
  };
}
