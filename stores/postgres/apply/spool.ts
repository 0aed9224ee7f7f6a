import type { LinkRef, SpoolReason, SpooledChange } from '../../spi/log-target.ts';
import type { KeyRange } from '../../spi/chunk-source.ts';
import type { LogChange, LogRelation, LogTransaction, RowImage } from '../../spi/log.ts';
import { displayName } from '../identifiers.ts';
import type { Session } from '../connection.ts';
import { CopyRows } from './copy-rows.ts';
import { whereLink } from './link-state.ts';
import type { Step } from './message.ts';
import type { RelationShelf } from './relations.ts';

/** Changes that wait on the target: how they are written and read again. */

export const spoolColumns =
  'job, target, leaf, seq, reason, relation, xid, position, committed_at, kind, old, new, ranges, bytes';

/** What a spooled change counts for: its images, and a little for each. */
export function spooledBytes(change: LogChange): number {
  return change.kind === 'truncate' ? 64 : 64 + (change.old?.length ?? 0) + (change.new?.length ?? 0);
}

/** The last number that has been given; 0: none. From leaf to leaf by the key: a spool may hold many millions. */
export async function lastInSpool(session: Session, ref: LinkRef): Promise<number> {
  const where = whereLink(ref);
  const rows = await session.query<{ last: string }>(
    `WITH RECURSIVE last AS (
       (SELECT leaf, seq FROM syncline.spool WHERE ${where} ORDER BY leaf DESC, seq DESC LIMIT 1)
       UNION ALL
       SELECT s.leaf, s.seq FROM last CROSS JOIN LATERAL (
         SELECT leaf, seq FROM syncline.spool WHERE ${where} AND leaf < last.leaf ORDER BY leaf DESC, seq DESC LIMIT 1) s)
     SELECT coalesce(pg_catalog.max(seq), 0) AS last FROM last`,
  );
  return Number(rows[0]?.last ?? 0);
}

export interface Spooling {
  readonly ref: LinkRef;
  readonly shelf: RelationShelf;
  /** Of the first change. */
  readonly firstSeq: number;
}

export function spoolSteps(spooling: Spooling, changes: readonly SpooledChange[]): Step[] {
  if (changes.length === 0) return [];
  const steps: Step[] = [];
  for (const { change } of changes) spooling.shelf.idOf(change.relation, steps);
  steps.push({
    text: `COPY syncline.spool (${spoolColumns}) FROM STDIN (FORMAT binary)`,
    rows: spoolRows(spooling, changes),
  });
  return steps;
}

function* spoolRows(
  { ref, shelf, firstSeq }: Spooling,
  changes: readonly SpooledChange[],
): Generator<Buffer> {
  const out = new CopyRows();
  const [job, target] = [Buffer.from(ref.job), Buffer.from(ref.target)];
  const leaves = new Map<LogRelation, Buffer>();
  let seq = firstSeq;
  for (const { change, reason } of changes) {
    const { relation } = change;
    const leaf = leaves.get(relation) ?? Buffer.from(displayName(relation.name));
    leaves.set(relation, leaf);
    const bytes = spooledBytes(change);
    const rest = changeFields(change);
    out.row(14, 400 + job.length + target.length + leaf.length + rest.bytes);
    for (const text of [job, target, leaf]) out.fieldBytes(text);
    out.fieldInt64(seq);
    out.fieldBytes(Buffer.from(reason));
    out.fieldInt32(shelf.idOf(relation, []));
    transactionFields(out, change.transaction);
    rest.write(out);
    out.fieldInt64(bytes);
    if (out.isFull) yield* out.take();
    seq += 1;
  }
  yield* out.end();
}

function transactionFields(out: CopyRows, transaction: LogTransaction): void {
  out.fieldInt64(transaction.xid);
  out.fieldBytes(Buffer.from(transaction.position));
  out.fieldInt64(Math.round(transaction.committedAtMs));
}

/** kind, old, new, ranges. */
export function changeFields(change: LogChange): {
  readonly bytes: number;
  write(out: CopyRows): void;
} {
  const ranges =
    change.kind === 'truncate' && change.ranges !== undefined
      ? Buffer.from(JSON.stringify(change.ranges))
      : null;
  const [before, after] = change.kind === 'truncate' ? [null, null] : [change.old, change.new];
  return {
    bytes: 64 + (before?.length ?? 0) + (after?.length ?? 0) + (ranges?.length ?? 0),
    write(out) {
      out.fieldBytes(Buffer.from(change.kind));
      for (const field of [before, after, ranges]) {
        if (field === null) out.nulls(1);
        else out.fieldBytes(field);
      }
    },
  };
}

/** A change as it lies in the spool or among the dead letters. */
export interface ChangeRow {
  readonly seq: string;
  readonly relation: number;
  readonly kind: LogChange['kind'];
  readonly old: RowImage | null;
  readonly new: RowImage | null;
  readonly ranges: string | null;
}

/** The transaction of a change as it lies there. */
export interface TransactionRow {
  readonly xid: string;
  readonly position: string;
  readonly committed_at: string;
}

export interface SpoolRow extends ChangeRow, TransactionRow {
  readonly leaf: string;
  readonly reason: SpoolReason;
  readonly bytes: string;
}

/** One object for all changes of a transaction. */
export class KnownTransactions {
  private readonly known = new Map<string, LogTransaction>();

  of(row: TransactionRow): LogTransaction {
    const key = `${row.position}/${row.xid}`;
    const transaction = this.known.get(key) ?? transactionOf(row);
    this.known.set(key, transaction);
    return transaction;
  }
}

export function transactionOf(row: TransactionRow): LogTransaction {
  return { xid: Number(row.xid), position: row.position, committedAtMs: Number(row.committed_at) };
}

export function changeOf(row: ChangeRow, relation: LogRelation, transaction: LogTransaction): LogChange {
  const common = { relation, transaction };
  if (row.kind !== 'truncate') return { kind: row.kind, ...common, old: row.old, new: row.new };
  if (row.ranges === null) return { kind: 'truncate', ...common };
  return { kind: 'truncate', ...common, ranges: JSON.parse(row.ranges) as readonly KeyRange[] };
}
