import { type ErrorCode, isErrorCode, SynclineError } from '../../../definitions/errors.ts';
import type { DeadTransaction, LinkRef } from '../../spi/log-target.ts';
import type { LogChange, LogTransaction } from '../../spi/log.ts';
import type { Sessions } from '../connection.ts';
import { quoteLiteral } from '../identifiers.ts';
import { hasLinks } from '../ledger/schema.ts';
import { CopyRows } from './copy-rows.ts';
import type { LaneSession } from './lane-session.ts';
import { isoTime, whereLink } from './link-state.ts';
import type { Step } from './message.ts';
import type { RelationShelf } from './relations.ts';
import { changeFields, changeOf, type ChangeRow, type TransactionRow, transactionOf } from './spool.ts';

/** Transactions that were set aside: `syncline.dead_transaction`, their changes in `syncline.dead_change`. */

interface DeadRow extends TransactionRow {
  readonly id: string;
  readonly tables: readonly string[];
  readonly changes: string;
  readonly code: string;
  readonly message: string;
  readonly set_aside_at: string;
}

/** See LogTarget.deadTransactions. */
export async function listDeadTransactions(
  sessions: Sessions,
  ref: LinkRef,
  limit: number,
): Promise<readonly DeadTransaction[]> {
  return await sessions.use(`${ref.job}/status`, async (session) => {
    if (!(await hasLinks(session))) return [];
    const rows = await session.query<DeadRow>(
      `SELECT id, xid, position, committed_at, tables, changes, code, message, ${isoTime('set_aside_at')} AS set_aside_at
         FROM syncline.dead_transaction WHERE ${whereLink(ref)} ORDER BY position COLLATE "C" LIMIT $1`,
      [limit],
    );
    return rows.map((row) => ({
      id: Number(row.id),
      transaction: transactionOf(row),
      tables: row.tables,
      changes: Number(row.changes),
      code: isErrorCode(row.code) ? row.code : 'internal.unexpected',
      message: row.message,
      setAsideAt: row.set_aside_at,
    }));
  });
}

export interface Letters {
  readonly lane: LaneSession;
  readonly ref: LinkRef;
  readonly shelf: RelationShelf;
}

export interface Aside {
  readonly transaction: LogTransaction;
  readonly changes: readonly LogChange[];
  readonly tables: readonly string[];
  readonly code: ErrorCode;
  readonly message: string;
}

/**
 * Into the open transaction. One that is too big for one call comes in parts, which go to one letter. Answers whether the
 * letter is new.
 */
export async function writeLetter({ lane, ref, shelf }: Letters, aside: Aside): Promise<boolean> {
  const rows = await lane.ask<{ id: string; before: string }>(letterStatement(ref, aside));
  const letter = rows[0];
  if (letter === undefined) throw new SynclineError('internal.unexpected', 'A dead letter was not written.');
  const steps: Step[] = [];
  for (const { relation } of aside.changes) shelf.idOf(relation, steps);
  const place = { id: Number(letter.id), firstSeq: Number(letter.before) + 1 };
  steps.push({
    text: `COPY syncline.dead_change (job, target, transaction, seq, relation, kind, old, new, ranges)
      FROM STDIN (FORMAT binary)`,
    rows: letterRows({ ref, shelf, ...place }, aside.changes),
  });
  await lane.run(steps);
  return place.firstSeq === 1;
}

function letterStatement(ref: LinkRef, aside: Aside): string {
  const { transaction, tables } = aside;
  const list = `ARRAY[${tables.map(quoteLiteral).join(', ')}]::text[]`;
  const count = String(aside.changes.length);
  const values = [
    ...[ref.job, ref.target].map(quoteLiteral),
    String(transaction.xid),
    quoteLiteral(transaction.position),
    String(Math.round(transaction.committedAtMs)),
    list,
    count,
    ...[aside.code, aside.message].map(quoteLiteral),
  ];
  return `INSERT INTO syncline.dead_transaction AS d
      (job, target, xid, position, committed_at, tables, changes, code, message) VALUES (${values.join(', ')})
    ON CONFLICT (job, target, position) DO UPDATE SET changes = d.changes + excluded.changes,
      tables = ARRAY(SELECT DISTINCT pg_catalog.unnest(d.tables || excluded.tables) ORDER BY 1)
    RETURNING id, changes - ${count} AS before`;
}

interface LetterPlace extends Pick<Letters, 'ref' | 'shelf'> {
  readonly id: number;
  readonly firstSeq: number;
}

function* letterRows(place: LetterPlace, changes: readonly LogChange[]): Generator<Buffer> {
  const out = new CopyRows();
  const [job, target] = [Buffer.from(place.ref.job), Buffer.from(place.ref.target)];
  let seq = place.firstSeq;
  for (const change of changes) {
    const rest = changeFields(change);
    out.row(9, 200 + job.length + target.length + rest.bytes);
    out.fieldBytes(job);
    out.fieldBytes(target);
    out.fieldInt64(place.id);
    out.fieldInt64(seq);
    out.fieldInt32(place.shelf.idOf(change.relation, []));
    rest.write(out);
    if (out.isFull) yield* out.take();
    seq += 1;
  }
  yield* out.end();
}

/** Its changes in their order, in the open transaction, with the letter locked. */
export async function readLetter({ lane, ref, shelf }: Letters, id: number): Promise<readonly LogChange[]> {
  const letters = await lane.ask<TransactionRow>(
    `SELECT xid, position, committed_at FROM syncline.dead_transaction WHERE ${whereLink(ref)} AND id = ${String(id)} FOR UPDATE`,
  );
  const letter = letters[0];
  if (letter === undefined)
    throw new SynclineError('job.notFound', `Job ${ref.job} has no dead transaction ${String(id)}.`);
  const transaction = transactionOf(letter);
  const rows = await lane.ask<ChangeRow>(
    `SELECT seq, relation, kind, old, new, ranges FROM syncline.dead_change WHERE transaction = ${String(id)} ORDER BY seq`,
  );
  return rows.map((row) => changeOf(row, shelf.expect(row.relation), transaction));
}

export function removeLetter(id: number): Step[] {
  return [
    { text: `DELETE FROM syncline.dead_change WHERE transaction = ${String(id)}` },
    { text: `DELETE FROM syncline.dead_transaction WHERE id = ${String(id)}` },
  ];
}
