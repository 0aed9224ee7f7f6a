import { SynclineError } from '../../../definitions/errors.ts';
import type { LinkRef, LinkState, NewLink } from '../../spi/log-target.ts';
import type { Session, Sessions } from '../connection.ts';
import { quoteLiteral } from '../identifiers.ts';
import { dropLedgerIfEmpty, ensureLedger, forgetLedgerIsThere, hasLinks } from '../ledger/schema.ts';
import { endWriters } from './link-lock.ts';

/** The row of a link in `syncline.link`: made, begun again, read, taken away. Only its writer moves it (commit.ts). */

export interface LinkRow {
  readonly job: string;
  readonly target: string;
  readonly slot: string;
  readonly publication: string;
  readonly system_id: string;
  readonly timeline: number | string;
  readonly generation: number | string;
  readonly position: string;
  readonly consistent_at: string | null;
  readonly created_at: string;
  readonly applied_commit_at: string | null;
  readonly transactions: string;
  readonly changes: string;
  readonly applied: string;
  readonly filtered: string;
  readonly dead_transactions: string;
  readonly bytes: string;
  readonly conflicts: string;
  readonly spooled_changes: string;
  readonly spooled_bytes: string;
  readonly batches: string;
}

export const isoTime = (column: string): string =>
  `pg_catalog.to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

const counters = [
  'transactions',
  'changes',
  'applied',
  'filtered',
  'dead_transactions',
  'bytes',
  'conflicts',
  'spooled_changes',
  'spooled_bytes',
  'batches',
];

export const linkColumns = [
  'job, target, slot, publication, system_id, timeline, generation, position, consistent_at',
  `${isoTime('created_at')} AS created_at, applied_commit_at`,
  ...counters,
].join(', ');

export function linkStateOf(row: LinkRow): LinkState {
  return {
    ref: { job: row.job, target: row.target },
    slot: row.slot,
    publication: row.publication,
    systemId: row.system_id,
    timeline: Number(row.timeline),
    generation: Number(row.generation),
    position: row.position,
    consistentAt: row.consistent_at,
    createdAt: row.created_at,
    appliedCommitAtMs: row.applied_commit_at === null ? null : Number(row.applied_commit_at),
    totals: {
      transactions: Number(row.transactions),
      changes: Number(row.changes),
      applied: Number(row.applied),
      filtered: Number(row.filtered),
      deadTransactions: Number(row.dead_transactions),
      bytes: Number(row.bytes),
      conflicts: Number(row.conflicts),
      spooledChanges: Number(row.spooled_changes),
      spooledBytes: Number(row.spooled_bytes),
    },
  };
}

/** `job = … AND target = …`. */
export function whereLink({ job, target }: LinkRef): string {
  return `job = ${quoteLiteral(job)} AND target = ${quoteLiteral(target)}`;
}

export async function readLink(session: Session, ref: LinkRef): Promise<LinkRow | null> {
  if (!(await hasLinks(session))) return null;
  const rows = await session.query<LinkRow>(
    `SELECT ${linkColumns} FROM syncline.link WHERE ${whereLink(ref)}`,
  );
  return rows[0] ?? null;
}

export async function createLink(sessions: Sessions, link: NewLink): Promise<LinkState> {
  await ensureLedger(sessions);
  return await sessions.use(`${link.ref.job}/link`, async (session) => {
    await session.query(
      `INSERT INTO syncline.link (job, target, slot, publication, system_id, timeline, generation, position)
       VALUES ($1, $2, $3, $4, $5, $6, 1, $7) ON CONFLICT (job, target) DO NOTHING`,
      [link.ref.job, link.ref.target, ...placeOf(link)],
    );
    return await expectLink(session, link.ref);
  });
}

function placeOf(link: NewLink): readonly (string | number)[] {
  return [link.slot, link.publication, link.systemId, link.timeline, link.position];
}

async function expectLink(session: Session, ref: LinkRef): Promise<LinkState> {
  const row = await readLink(session, ref);
  if (row === null) throw noLink(ref);
  return linkStateOf(row);
}

export function noLink({ job, target }: LinkRef): SynclineError {
  return new SynclineError('job.notFound', `Job ${job} has no link to ${target}.`);
}

/**
 * The next generation, once for each new place: a repeated call finds the place and changes nothing. What people said
 * of tables (paused, removed) stays; what the log had to say of them (failing) goes.
 */
export async function restartLink(sessions: Sessions, link: NewLink): Promise<LinkState> {
  await ensureLedger(sessions);
  return await sessions.use(`${link.ref.job}/link`, async (session) => {
    await session.query('BEGIN');
    const moved = await session.query(
      `UPDATE syncline.link SET slot = $3, publication = $4, system_id = $5, timeline = $6, position = $7,
         generation = generation + 1, consistent_at = NULL, dead_transactions = 0, spooled_changes = 0,
         spooled_bytes = 0
        WHERE job = $1 AND target = $2 AND (system_id, timeline, position) IS DISTINCT FROM ($5, $6::int, $7)
       RETURNING job`,
      [link.ref.job, link.ref.target, ...placeOf(link)],
    );
    if (moved.length > 0) {
      for (const table of ['lane', 'spool', 'spool_relation', 'dead_transaction', 'dead_change'])
        await session.query(`DELETE FROM syncline.${table} WHERE ${whereLink(link.ref)}`);
      await session.query(
        `DELETE FROM syncline.link_table WHERE ${whereLink(link.ref)} AND state = 'failing'`,
      );
    }
    await session.query('COMMIT');
    return await expectLink(session, link.ref);
  });
}

/** Every row about the link; the schema with the last job. A missing one is fine. */
export async function forgetLink(sessions: Sessions, ref: LinkRef): Promise<void> {
  await sessions.use(`${ref.job}/remove`, async (session) => {
    if (!(await hasLinks(session))) return;
    await endWriters(session, ref);
    await session.query('BEGIN');
    for (const table of [
      'link',
      'lane',
      'link_table',
      'spool',
      'spool_relation',
      'dead_transaction',
      'dead_change',
      'batch',
    ])
      await session.query(`DELETE FROM syncline.${table} WHERE ${whereLink(ref)}`);
    await session.query('COMMIT');
    if (await dropLedgerIfEmpty(session)) forgetLedgerIsThere(sessions);
  });
}
