import { type LogPosition, logStart } from '../../spi/log.ts';

/**
 * A position is an LSN as 16 hex digits. A log read "up to P" has handed over every transaction whose commit record
 * begins before P; that is also the server's own rule for where decoding goes on (`SnapBuildXactNeedsSkip`), so a
 * place in the middle of a record, as the flush position can be, is no problem.
 */

/** The LSN of a message, 8 bytes in network order. */
export function positionAt(buffer: Buffer, at: number): LogPosition {
  return buffer.toString('hex', at, at + 8);
}

/** From `1/4F2A`, as SQL writes a pg_lsn. */
export function positionOfLsn(lsn: string): LogPosition {
  const [high = '0', low = '0'] = lsn.toLowerCase().split('/');
  return high.padStart(8, '0') + low.padStart(8, '0');
}

export function lsnOf(position: LogPosition): string {
  const [high, low] = [position.slice(0, 8), position.slice(8)].map((part) => Number.parseInt(part, 16));
  return `${(high ?? 0).toString(16)}/${(low ?? 0).toString(16)}`.toUpperCase();
}

export function positionAfter(from: LogPosition, bytes: number): LogPosition {
  return (BigInt(`0x${from}`) + BigInt(bytes)).toString(16).padStart(16, '0');
}

/** Of null, as a slot that has never been used has: the start. */
export function positionOrStart(lsn: string | null): LogPosition {
  return lsn === null ? logStart : positionOfLsn(lsn);
}

const pageBytes = 8192n;
const smallestSegment = 1n << 20n;

/**
 * Where a mark's insert position is reached by an idle log. At the start of a page the insert position stands behind the
 * page's header (24 bytes, 40 at the start of a segment), while what is flushed and decoded stands before it until
 * somebody writes again; waiting for the former would wait for that. No commit record fits in between.
 */
export function reachedWhenIdle(position: LogPosition): LogPosition {
  const place = BigInt(`0x${position}`);
  const back = place % smallestSegment === 40n ? 40n : place % pageBytes === 24n ? 24n : 0n;
  return back === 0n ? position : (place - back).toString(16).padStart(16, '0');
}
