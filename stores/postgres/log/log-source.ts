import { SynclineError } from '../../../definitions/errors.ts';
import type { BeginLog, LinkAddress, LogPosition, LogSource, LogStart, RetainedLog } from '../../spi/log.ts';
import type { SnapshotMark } from '../../spi/rows.ts';
import type { Session, Sessions } from '../connection.ts';
import { passBarrier } from './barrier.ts';
import { cutLog } from './cut.ts';
import { followLimits, type FollowLimits, followLog } from './follow.ts';
import { untilFlushed } from './flush.ts';
import { locateIn } from './locate.ts';
import { lsnOf, positionOfLsn, reachedWhenIdle } from './positions.ts';
import { dropPublications, ensurePublications, readPublished } from './publication.ts';
import { checkReadiness, readIdentity } from './readiness.ts';
import { dropSlot, ensureSlot, readSlot } from './slot.ts';
import { visibilityIn } from './visibility.ts';

/** The log of a PostgreSQL server: logical replication with `pgoutput`. */
export function createLogSource(sessions: Sessions, limits: FollowLimits = followLimits): LogSource {
  const positionOf = (mark: SnapshotMark): LogPosition => reachedWhenIdle(positionOfLsn(mark.insertPosition));
  return {
    readiness: (request) => checkReadiness(sessions, request),
    identity: (job) => readIdentity(sessions, job),
    begin: (request) => begin(sessions, request),
    publish: (request) => publish(sessions, request),
    published: (address) => inControl(sessions, address, (session) => readPublished(session, address)),
    follow: (request) => followLog(sessions, request, limits),
    retained: (address) => inControl(sessions, address, (session) => retained(session, address)),
    end: (address) => inControl(sessions, address, (session) => end(session, address)),
    strays: (known) => strays(sessions, known),
    positionOf,
    settle: (job, mark, signal) => untilFlushed(sessions, { job, lsn: lsnOf(positionOf(mark)), signal }),
    visibility: visibilityIn,
    locate: locateIn,
    cut: (job, signal) => cutLog(sessions, job, signal),
  };
}

async function inControl<T>(
  sessions: Sessions,
  { job }: LinkAddress,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  return await sessions.use(`${job}/link`, work);
}

async function begin(sessions: Sessions, request: BeginLog): Promise<LogStart> {
  const deadline = Date.now() + request.deadlineMs;
  const { address, tables, signal } = request;
  const position = await sessions.use(
    `${address.job}/link`,
    async (session) => {
      const { created } = await ensurePublications(session, address, tables);
      const slot = await ensureSlot(sessions, session, { request, deadline, fresh: created });
      await passBarrier(session, request, deadline);
      return slot.confirmed;
    },
    signal,
  );
  return { position, ...(await readIdentity(sessions, address.job)) };
}

async function publish(sessions: Sessions, request: BeginLog): Promise<void> {
  const deadline = Date.now() + request.deadlineMs;
  const { address, tables, signal } = request;
  await sessions.use(
    `${address.job}/link`,
    async (session) => {
      if ((await readPublished(session, address)) === null) {
        throw new SynclineError(
          'log.slotLost',
          `Publication ${address.publication} is not there any more, and with it the log of the link.`,
        );
      }
      await ensurePublications(session, address, tables);
      await passBarrier(session, request, deadline);
    },
    signal,
  );
}

async function retained(session: Session, address: LinkAddress): Promise<RetainedLog | null> {
  const slot = await readSlot(session, address);
  if (slot === null || slot.foreign) return null;
  return { end: slot.end, bytes: slot.retainedBytes, state: slot.state, reason: slot.reason };
}

async function end(session: Session, address: LinkAddress): Promise<void> {
  await dropSlot(session, address);
  await dropPublications(session, address);
}

async function strays(sessions: Sessions, known: readonly LinkAddress[]): Promise<readonly string[]> {
  return await sessions.use('link', async (session) => {
    const rows = await session.query<{ kind: string; name: string; link: string }>(
      `SELECT kind, name, left(name, 17) AS link
         FROM (SELECT 'slot' AS kind, slot_name::text AS name FROM pg_replication_slots WHERE database = current_database()
               UNION ALL SELECT 'publication', pubname::text FROM pg_publication) AS found
        WHERE name ~ '^syncline_[0-9a-f]{8}(_i)?$' ORDER BY kind DESC, name`,
    );
    const slots = new Set(known.map(({ slot }) => slot));
    const publications = new Set(known.map(({ publication }) => publication));
    return rows
      .filter(({ kind, link }) => !(kind === 'slot' ? slots : publications).has(link))
      .map(({ kind, name }) => `${kind} ${name}`);
  });
}
