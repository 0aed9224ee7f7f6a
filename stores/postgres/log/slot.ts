import { setTimeout as delay } from 'node:timers/promises';
import { SynclineError } from '../../../definitions/errors.ts';
import {
  bytesBetween,
  type BeginLog,
  type LinkAddress,
  type LogPosition,
  type RetainedLog,
} from '../../spi/log.ts';
import type { Session, Sessions } from '../connection.ts';
import { positionOfLsn, positionOrStart } from './positions.ts';
import { slotBusy, slotLost } from './slot-errors.ts';
import { waitUntil } from './waiting.ts';

/** The replication slot of a link: what makes the server keep the log. */

export interface Slot {
  readonly confirmed: LogPosition;
  /** Where decoding begins again: log from here on is read anew with every reading. */
  readonly restart: LogPosition;
  /** Where the server's log is durable. */
  readonly end: LogPosition;
  /** Where it writes: with asynchronous commits, or in the middle of a transaction, beyond `end`. */
  readonly inserted: LogPosition;
  readonly retainedBytes: number;
  readonly activePid: number | null;
  readonly state: RetainedLog['state'];
  readonly reason: string | null;
  /** The slot's name is taken by another database of the server. */
  readonly foreign: boolean;
}

interface SlotRow {
  readonly confirmed: string | null;
  readonly restart: string | null;
  readonly end: string;
  readonly inserted: string;
  readonly active_pid: number | null;
  readonly wal_status: string | null;
  readonly safe_bytes: string | null;
  readonly invalidation: string | null;
  readonly conflicting: boolean | null;
  readonly idle_share: number | null;
  readonly foreign: boolean;
}

/** Columns that only later versions have are read through JSON, so that one statement fits all. */
const slotQuery = `SELECT s.confirmed_flush_lsn::text AS confirmed, s.restart_lsn::text AS restart,
    pg_current_wal_flush_lsn()::text AS "end", pg_current_wal_insert_lsn()::text AS inserted, s.active_pid, s.wal_status,
    s.safe_wal_size::text AS safe_bytes, to_jsonb(s)->>'invalidation_reason' AS invalidation,
    (to_jsonb(s)->>'conflicting')::boolean AS conflicting,
    extract(epoch FROM clock_timestamp() - (to_jsonb(s)->>'inactive_since')::timestamptz)::float8
      / nullif((SELECT setting::float8 FROM pg_settings WHERE name = 'idle_replication_slot_timeout'), 0) AS idle_share,
    s.database IS DISTINCT FROM current_database() OR s.plugin IS DISTINCT FROM 'pgoutput' AS foreign
  FROM pg_replication_slots s WHERE s.slot_name = $1`;

export async function readSlot(session: Session, { slot }: LinkAddress): Promise<Slot | null> {
  const [row] = await session.query<SlotRow>(slotQuery, [slot]);
  if (row === undefined) return null;
  const [end, restart] = [positionOfLsn(row.end), positionOrStart(row.restart)];
  const retainedBytes = row.restart === null ? 0 : bytesBetween(restart, end);
  return {
    confirmed: positionOrStart(row.confirmed),
    restart,
    end,
    inserted: positionOfLsn(row.inserted),
    retainedBytes,
    activePid: row.active_pid,
    foreign: row.foreign,
    ...healthOf(row, retainedBytes),
  };
}

function healthOf(row: SlotRow, retainedBytes: number): Pick<Slot, 'state' | 'reason'> {
  if (row.invalidation !== null) return { state: 'lost', reason: `invalidated: ${row.invalidation}` };
  if (row.conflicting === true) return { state: 'lost', reason: 'invalidated: conflict' };
  if (row.wal_status === 'lost' || row.restart === null) return { state: 'lost', reason: 'wal_removed' };
  if (row.wal_status === 'unreserved')
    return { state: 'endangered', reason: 'max_slot_wal_keep_size is exceeded' };
  const safe = row.safe_bytes === null ? Infinity : Number(row.safe_bytes);
  if (safe < (safe + retainedBytes) / 10) {
    return { state: 'endangered', reason: 'max_slot_wal_keep_size is almost reached' };
  }
  if ((row.idle_share ?? 0) > 0.5 && row.active_pid === null)
    return { state: 'endangered', reason: 'idle_replication_slot_timeout is half over' };
  return { state: 'kept', reason: null };
}

/** The slot as it has to be to be read. Throws `log.slotLost`. */
export async function expectSlot(session: Session, address: LinkAddress): Promise<Slot> {
  const slot = await readSlot(session, address);
  if (slot === null || slot.foreign) throw slotLost(address, 'it is not there any more');
  if (slot.state === 'lost') throw slotLost(address, slot.reason ?? 'invalid');
  return slot;
}

/**
 * Creates the slot, unless it is there. The server waits for running transactions to end meanwhile, so it happens in a
 * session of its own while another one says for whom.
 */
export async function ensureSlot(
  sessions: Sessions,
  session: Session,
  { request, deadline, fresh }: EnsureSlot,
): Promise<Slot> {
  const { address } = request;
  const there = await readSlot(session, address);
  if (there !== null && there.foreign) throw taken(address);
  if (there !== null && there.state !== 'lost' && !fresh) return there;
  if (there !== null) await dropSlot(session, address);
  let settled = false;
  const enough = new AbortController();
  const creating = sessions
    .use(`${address.job}/slot`, (own) => create(own, address), enough.signal)
    .finally(() => (settled = true));
  creating.catch(() => undefined);
  try {
    await waitUntil({ session, request, deadline, upTo: null }, () => settled);
  } catch (error) {
    enough.abort();
    throw error;
  }
  await creating;
  return await expectSlot(session, address);
}

interface EnsureSlot {
  readonly request: BeginLog;
  readonly deadline: number;
  /** One that is there is of no use. */
  readonly fresh: boolean;
}

const notReadyStates = new Set(['42501', '55000', '53400', '0A000']);

/** `failover` (17): a standby that synchronises slots has it after a fail-over. Only a primary can ask for it. */
async function create(session: Session, { slot }: LinkAddress): Promise<void> {
  const [server] = await session.query<{ failover: boolean }>(
    `SELECT current_setting('server_version_num')::int >= 170000 AND NOT pg_is_in_recovery() AS failover`,
  );
  const options = server?.failover === true ? ', failover => true' : '';
  try {
    await session.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput'${options})`, [slot]);
  } catch (error) {
    if (!(error instanceof SynclineError)) throw error;
    const state = error.details.sqlState ?? '';
    if (state === '42710') return;
    if (!notReadyStates.has(state)) throw error;
    throw new SynclineError(
      'log.notReady',
      `The source cannot make a replication slot: wal_level must be logical, a slot free, and the role have REPLICATION (SQLSTATE ${state}).`,
      { details: error.details, cause: error },
    );
  }
}

function taken({ slot }: LinkAddress): SynclineError {
  return new SynclineError(
    'log.notReady',
    `Replication slot ${slot} belongs to another database of the same server: another installation uses the same names for job and target.`,
  );
}

/** Drops it, ending whoever reads it. Missing or of another database: nothing to do. */
export async function dropSlot(session: Session, address: LinkAddress): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const slot = await readSlot(session, address);
    if (slot === null || slot.foreign) return;
    if (slot.activePid !== null)
      await session.query('SELECT pg_terminate_backend($1, 1000)', [slot.activePid]);
    try {
      await session.query('SELECT pg_drop_replication_slot($1)', [address.slot]);
      return;
    } catch (error) {
      const state = error instanceof SynclineError ? error.details.sqlState : undefined;
      if (state === '42704') return;
      if (state !== '55006' || attempt === 20) throw error;
      await delay(100);
    }
  }
}

/**
 * Ends an older reader of this link, so that the slot is free. Sessions of others are left alone.
 * Throws `log.slotBusy`.
 */
export async function freeSlot(session: Session, address: LinkAddress): Promise<Slot> {
  for (let attempt = 1; ; attempt += 1) {
    const slot = await expectSlot(session, address);
    if (slot.activePid === null) return slot;
    const [holder] = await session.query<{ ours: boolean }>(
      `SELECT starts_with(application_name, 'syncline/') AS ours FROM pg_stat_activity WHERE pid = $1`,
      [slot.activePid],
    );
    if (holder?.ours === false || attempt === 50) throw slotBusy(address);
    if (holder !== undefined) await session.query('SELECT pg_terminate_backend($1, 1000)', [slot.activePid]);
    await delay(50);
  }
}
