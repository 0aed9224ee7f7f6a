import { SynclineError } from '../../../definitions/errors.ts';
import type { HeldSnapshot, SnapshotHolder } from '../../spi/chunk-source.ts';
import type { OpenSession, Sessions } from '../connection.ts';
import { queryEach } from '../query-each.ts';
import { markOfRow } from './deferred-reading.ts';
import { beginReading, markStatement } from './reading-statements.ts';

/**
 * One exported snapshot for many readings. It lives as long as the transaction that exports it: the session's own
 * time-outs are off (connection.ts), and a statement now and then shows proxies and both ends that the other one lives.
 */
export function createSnapshotHolder(sessions: Sessions): SnapshotHolder {
  return { hold: (job, signal) => hold(sessions, job, signal) };
}

const keepAliveMs = 10_000;

async function hold(sessions: Sessions, job: string, signal: AbortSignal): Promise<HeldSnapshot> {
  const session = await sessions.open(`${job}/snapshot`, 'holding the snapshot of a backup');
  const onAbort = (): void => void session.destroy();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    signal.throwIfAborted();
    const [, marks, exported] = await queryEach(session, [
      beginReading,
      markStatement,
      'SELECT pg_export_snapshot() AS id',
    ]);
    const id = (exported?.[0] as { id: string } | undefined)?.id;
    if (id === undefined) throw new SynclineError('internal.unexpected', 'The server exported no snapshot.');
    const { lost, stop } = watch(session, signal);
    return { id, mark: markOfRow(marks), lost, close: () => end(session, stop) };
  } catch (error) {
    await session.destroy();
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

async function end(session: OpenSession, stop: () => void): Promise<void> {
  stop();
  try {
    await session.query('COMMIT');
    session.release();
  } catch {
    await session.destroy();
  }
}

/** `lost` resolves only for an end that nobody asked for. */
function watch(session: OpenSession, signal: AbortSignal): { lost: Promise<string>; stop: () => void } {
  let stop: () => void = () => undefined;
  const lost = new Promise<string>((resolve) => {
    let watching = true;
    let silent = false;
    const ended = (): void => {
      if (!watching) return;
      stop();
      void session.destroy();
      resolve('The session that held the snapshot has ended.');
    };
    const onAbort = (): void => {
      stop();
      void session.destroy();
    };
    const ask = async (): Promise<void> => {
      silent = true;
      await session.query('SELECT 1');
      silent = false;
    };
    const timer = setInterval(() => {
      if (silent) ended();
      else ask().catch(ended);
    }, keepAliveMs);
    session.client.once('end', ended);
    signal.addEventListener('abort', onAbort, { once: true });
    stop = () => {
      if (!watching) return;
      watching = false;
      clearInterval(timer);
      session.client.removeListener('end', ended);
      signal.removeEventListener('abort', onAbort);
    };
  });
  return { lost, stop };
}
