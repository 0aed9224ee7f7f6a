import { SynclineError } from '../../../definitions/errors.ts';
import type { BeginWriting, LoadedUnit } from '../../spi/chunk-target.ts';
import type { OpenSession } from '../connection.ts';
import { quoteLiteral } from '../identifiers.ts';
import { queryEach } from '../query-each.ts';

/**
 * Begins the transaction, takes the unit's advisory lock and looks into the ledger, in this order and one message:
 * each statement has its own snapshot, so a ledger row committed by whoever held the lock before is seen.
 * An older attempt that still holds the lock is ended: its worker is gone, or its answer is not awaited any more.
 */
export async function takeUnitLock(session: OpenSession, request: BeginWriting): Promise<LoadedUnit | null> {
  const { ref, unit } = request;
  const key = `hashtextextended(${quoteLiteral(`${ref.job}\n${unit.chunk}\n${String(unit.slice)}`)}, 3)`;
  const rows = await begin(session, request, key);
  const first = rows;
  if (first.locked) return first.loaded;
  await session.query('ROLLBACK');
  await session.query(
    `SELECT pg_terminate_backend(l.pid) FROM pg_locks l, (SELECT ${key} AS key) k
      WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.pid <> pg_backend_pid()
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND ((l.classid::bigint << 32) | l.objid::bigint) = k.key`,
  );
  await session.query(`SET lock_timeout = '10s'`);
  try {
    await session.query(`SELECT pg_advisory_lock(${key}), pg_advisory_unlock(${key})`);
  } finally {
    await session.query('SET lock_timeout = 0').catch(() => undefined);
  }
  const second = await begin(session, request, key);
  if (second.locked) return second.loaded;
  throw new SynclineError('target.superseded', `Another attempt works on ${unit.chunk}.`, {
    details: { chunk: unit.chunk },
  });
}

interface LockAnswer {
  readonly locked: boolean;
  readonly loaded: LoadedUnit | null;
}

/** Where the role may: rows come as they are, and triggers do not act on them a second time. */
const asReplica = `CASE WHEN has_parameter_privilege('session_replication_role', 'SET')
  THEN set_config('session_replication_role', 'replica', true) END`;

async function begin(session: OpenSession, request: BeginWriting, key: string): Promise<LockAnswer> {
  const { ref, unit } = request;
  const place = [ref.job, ref.load, unit.chunk].map(quoteLiteral);
  const [, locks, ledger] = await queryEach(session, [
    'BEGIN',
    `SELECT pg_try_advisory_xact_lock(${key}) AS locked, ${asReplica}`,
    `SELECT rows, bytes, digest FROM syncline.ledger
      WHERE (job, load, chunk, slice) = (${place.join(', ')}, ${String(unit.slice)})`,
  ]);
  if ((locks?.[0] as { locked: boolean } | undefined)?.locked !== true)
    return { locked: false, loaded: null };
  const row = ledger?.[0] as { rows: string; bytes: string; digest: string | null } | undefined;
  return {
    locked: true,
    loaded:
      row === undefined ? null : { rows: Number(row.rows), bytes: Number(row.bytes), digest: row.digest },
  };
}
