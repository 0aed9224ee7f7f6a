import { SynclineError } from '../../../definitions/errors.ts';
import type { LinkRef } from '../../spi/log-target.ts';
import type { Session } from '../connection.ts';
import { quoteLiteral } from '../identifiers.ts';

/**
 * Two advisory locks of a session say who writes for a link: its first session holds the one alone, those of further
 * lanes share the other. Whoever comes later ends them all: an older writer's worker is gone, or its answer is not
 * awaited any more. An ended session rolls back; a commit that had begun is seen in the link's position.
 */
const firstKey = ({ job, target }: LinkRef): string =>
  `pg_catalog.hashtextextended(${quoteLiteral(`${job}\n${target}`)}, 5)`;
const laneKey = ({ job, target }: LinkRef): string =>
  `pg_catalog.hashtextextended(${quoteLiteral(`${job}\n${target}`)}, 6)`;

export async function endWriters(session: Session, ref: LinkRef): Promise<void> {
  await session.query(
    `SELECT pg_catalog.pg_terminate_backend(l.pid, 5000)
       FROM (SELECT DISTINCT l.pid FROM pg_catalog.pg_locks l
              WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.pid <> pg_catalog.pg_backend_pid()
                AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
                AND ((l.classid::bigint << 32) | l.objid::bigint) IN (${firstKey(ref)}, ${laneKey(ref)})) l`,
  );
}

/** For the life of the session. */
export async function takeLink(session: Session, ref: LinkRef): Promise<void> {
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const rows = await session.query<{ locked: boolean }>(
      `SELECT pg_catalog.pg_try_advisory_lock(${firstKey(ref)}) AS locked`,
    );
    if (rows[0]?.locked === true) {
      // Lanes of an older writer may outlive its first session.
      await endWriters(session, ref);
      return;
    }
    await endWriters(session, ref);
  }
  throw superseded(ref);
}

export async function takeLane(session: Session, ref: LinkRef): Promise<void> {
  await session.query(`SELECT pg_catalog.pg_advisory_lock_shared(${laneKey(ref)})`);
}

export function superseded({ job, target }: LinkRef): SynclineError {
  return new SynclineError('target.superseded', `Another writer has taken the link of ${job} to ${target}.`);
}
