import type { SynclineError } from '../../../definitions/errors.ts';
import type { LogChange, LogPosition } from '../../../stores/spi/log.ts';
import type { RoutedBatch, SpooledChange } from '../../../stores/spi/log-target.ts';
import type { ReadBatch } from './read-ahead.ts';
import { admitted, type Routes } from './routes.ts';

/** Transactions that are not part of an instant: they wait until the target has been looked at. See design 3.1. */
export type HeldAtCut = (change: LogChange) => boolean;

export interface Routed {
  readonly batch: RoutedBatch;
  /** Changes that are applied, by table at the source. */
  readonly tables: ReadonlyMap<string, number>;
}

/** Decides for every change of a batch: applied, spooled, or in its chunk's snapshot already. */
export function routeBatch(batch: ReadBatch, routes: Routes, isHeld: HeldAtCut | null): Routed {
  const apply: LogChange[] = [];
  const spool: SpooledChange[] = [];
  const tables = new Map<string, number>();
  let filtered = 0;
  for (const change of batch.changes) {
    const route = routes.of(change.relation);
    const before = apply.length;
    if (route.removed) filtered += 1;
    else if (route.waits !== null) spool.push({ change, reason: route.waits });
    else if (isHeld?.(change) === true) spool.push({ change, reason: 'cut' });
    else {
      const admits = admitted(change, route);
      if (admits.length === 0) filtered += 1;
      else for (const one of admits) apply.push(one);
      const { table } = route.leaf;
      tables.set(table, (tables.get(table) ?? 0) + apply.length - before);
    }
  }
  const { transactions, bytes } = batch;
  return { batch: { apply, spool, filtered, transactions, bytes }, tables };
}

/**
 * The first transactions of a batch, at most `most`, and the rest. Between two transactions the place is where the commit of
 * the second begins.
 */
export function splitAfter(batch: ReadBatch, most: number): readonly [ReadBatch, ReadBatch | null] {
  const { changes } = batch;
  let transactions = 0;
  let last: LogChange['transaction'] | null = null;
  const end = changes.findIndex(({ transaction }) => {
    if (transaction !== last) transactions += 1;
    last = transaction;
    return transactions > most;
  });
  const next = changes[end];
  if (next === undefined) return [batch, null];
  const position: LogPosition = next.transaction.position;
  return [
    { changes: changes.slice(0, end), position, transactions: most, bytes: 0 },
    { ...batch, changes: changes.slice(end), transactions: Math.max(0, batch.transactions - most) },
  ];
}

interface Part {
  readonly part: ReadBatch;
  /** Why its one transaction is set aside; null: it is applied. */
  readonly why: SynclineError | null;
}

/** The batch in order, with the transactions that go to the dead letters apart. */
export function partsOf(batch: ReadBatch, doomed: ReadonlyMap<LogPosition, SynclineError>): readonly Part[] {
  if (doomed.size === 0) return [{ part: batch, why: null }];
  const parts: { changes: LogChange[]; readonly why: SynclineError | null }[] = [];
  for (const change of batch.changes) {
    const why = doomed.get(change.transaction.position) ?? null;
    const last = parts.at(-1);
    if (last?.why === why) last.changes.push(change);
    else parts.push({ changes: [change], why });
  }
  // What is counted of the batch is counted once.
  return parts.map(({ changes, why }, index) => {
    const counted = index === 0 ? {} : { transactions: 0, bytes: 0 };
    return { part: { ...batch, changes, ...counted }, why };
  });
}
