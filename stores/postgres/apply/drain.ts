import type { DrainSpool, LinkRef } from '../../spi/log-target.ts';
import type { LogChange } from '../../spi/log.ts';
import { quoteLiteral } from '../identifiers.ts';
import type { LaneSession } from './lane-session.ts';
import { whereLink } from './link-state.ts';
import type { Portion, Portions } from './portions.ts';
import type { RelationShelf } from './relations.ts';
import { changeOf, KnownTransactions, type SpoolRow } from './spool.ts';

export interface Drained {
  readonly applied: number;
  readonly filtered: number;
  readonly portion: Portion;
}

export interface Draining {
  readonly lane: LaneSession;
  readonly ref: LinkRef;
  readonly shelf: RelationShelf;
  readonly portions: Portions;
  /** The last number that was given in the spool. */
  readonly lastSeq: number;
}

/** Takes a portion out of the spool and applies what `admit` leaves of it, in the open transaction. See LinkWriter.drain. */
export async function drainSpool(
  { lane, ref, shelf, portions, lastSeq }: Draining,
  request: DrainSpool,
  apply: (changes: readonly LogChange[]) => Promise<void>,
): Promise<Drained> {
  const rows = await lane.ask<SpoolRow>(portions.statement(ref, request));
  const portion = portions.read(rows, request, lastSeq);
  const changes: LogChange[] = [];
  const known = new KnownTransactions();
  let applied = 0;
  for (const row of rows) {
    const admitted = request.admit(changeOf(row, shelf.expect(row.relation), known.of(row)));
    if (admitted.length > 0) applied += 1;
    for (const change of admitted) changes.push(change);
  }
  await apply(changes);
  const [first, last] = [rows[0], rows.at(-1)];
  if (first !== undefined && last !== undefined)
    await lane.run([{ text: removeStatement(ref, request.leaves, [first, last]) }]);
  return { applied, filtered: rows.length - applied, portion };
}

/** The rows that were read are all of these leaves from the first of them to the last: only this writer adds any. */
function removeStatement(
  ref: LinkRef,
  leaves: readonly string[],
  [first, last]: readonly [SpoolRow, SpoolRow],
): string {
  return `DELETE FROM syncline.spool WHERE ${whereLink(ref)} AND leaf IN (${leaves.map(quoteLiteral).join(', ')})
    AND seq BETWEEN ${first.seq} AND ${last.seq}`;
}
