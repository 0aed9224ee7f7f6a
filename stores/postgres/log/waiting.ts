import { setTimeout as delay } from 'node:timers/promises';
import { SynclineError } from '../../../definitions/errors.ts';
import type { BeginLog, Waiting } from '../../spi/log.ts';
import type { Session } from '../connection.ts';

/**
 * Waiting for transactions of others, with a deadline, and saying for whom. Transactions of every database count: ids are
 * the server's.
 */

const sayEveryMs = 1_000;
const longestPauseMs = 200;

export interface WaitingFor {
  readonly session: Session;
  readonly request: Pick<BeginLog, 'signal' | 'waiting'>;
  /** Date.now() at which to give up. */
  readonly deadline: number;
  /** Transactions up to this one are waited for; null: all that run. */
  readonly upTo: bigint | null;
}

/** Asks `isOver` again and again. Throws `log.barrierTimeout`. */
export async function waitUntil(what: WaitingFor, isOver: () => Promise<boolean> | boolean): Promise<void> {
  let pauseMs = 5;
  let saidAt = Date.now();
  for (;;) {
    what.request.signal.throwIfAborted();
    if (await isOver()) return;
    const now = Date.now();
    if (now >= what.deadline) throw timedOut(await whoRuns(what));
    if (now - saidAt >= sayEveryMs) {
      saidAt = now;
      what.request.waiting(await whoRuns(what));
    }
    await delay(pauseMs, undefined, { signal: what.request.signal });
    pauseMs = Math.min(pauseMs * 2, longestPauseMs);
  }
}

interface WaitingRow {
  readonly what: Waiting['what'];
  readonly name: string;
  readonly database: string;
  readonly since_ms: string | null;
}

/** 32-bit ids at or before `$1`, modulo 2^32. */
const early = (xid: string): string =>
  `($1::int8 IS NULL OR ((($1::int8 - ${xid}::text::int8) % 4294967296) + 4294967296) % 4294967296 < 2147483648)`;

async function whoRuns({ session, upTo }: WaitingFor): Promise<readonly Waiting[]> {
  const rows = await session.query<WaitingRow>(
    `SELECT 'transaction' AS what, coalesce(nullif(application_name, ''), 'session ' || pid) AS name,
            coalesce(datname, '') AS database, extract(epoch FROM clock_timestamp() - xact_start)::int8 * 1000 AS since_ms
       FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() AND ${early('backend_xid')}
     UNION ALL
     SELECT 'prepared', gid, database, extract(epoch FROM clock_timestamp() - prepared)::int8 * 1000
       FROM pg_prepared_xacts WHERE ${early('transaction')}
     ORDER BY since_ms DESC NULLS LAST LIMIT 20`,
    [upTo === null ? null : String(upTo)],
  );
  return rows.map(({ what, name, database, since_ms }) => ({
    what,
    name,
    database,
    sinceMs: Number(since_ms ?? 0),
  }));
}

function timedOut(who: readonly Waiting[]): SynclineError {
  const named = who
    .slice(0, 5)
    .map(({ what, name, database, sinceMs }) => {
      const kind = what === 'prepared' ? 'prepared transaction' : 'transaction of';
      return `${kind} ${name} in ${database} (since ${String(Math.round(sinceMs / 1000))} s)`;
    })
    .join(', ');
  return new SynclineError(
    'log.barrierTimeout',
    `Transactions on the source are open for too long: ${named === '' ? 'they just ended' : named}.`,
  );
}
