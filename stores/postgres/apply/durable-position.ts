import { type LogPosition, logStart } from '../../spi/log.ts';
import type { Session } from '../connection.ts';

const askEveryMs = 500;

/**
 * Up to where a link's commits are on the target's disk, where they do not wait for it (`synchronous_commit = off`): what is
 * confirmed to the source is forgotten there. The log of the target is asked now and then: once it is flushed to where it was
 * written at the time before, everything committed by then is safe.
 */
export class DurablePosition {
  private known = logStart;
  private next: { readonly position: LogPosition; readonly written: string } | null = null;
  private askedAtMs = 0;

  /** Of a link that is at `position` and has nothing open. */
  async at(session: Session, position: LogPosition): Promise<LogPosition> {
    if (Date.now() - this.askedAtMs < askEveryMs) return this.known;
    this.askedAtMs = Date.now();
    const rows = await session.query<{ written: string; safe: boolean }>(
      `SELECT pg_catalog.pg_current_wal_insert_lsn()::text AS written,
         pg_catalog.pg_current_wal_flush_lsn() >= $1::pg_lsn AS safe`,
      [this.next?.written ?? '0/0'],
    );
    if (this.next !== null && rows[0]?.safe === true) this.known = this.next.position;
    if (this.next === null || rows[0]?.safe === true)
      this.next = { position, written: rows[0]?.written ?? '' };
    return this.known;
  }
}
