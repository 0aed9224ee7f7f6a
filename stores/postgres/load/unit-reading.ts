import { SynclineError } from '../../../definitions/errors.ts';
import type { OpenReading, UnitReading } from '../../spi/chunk-source.ts';
import type { SnapshotMark } from '../../spi/rows.ts';
import type { OpenSession, Sessions } from '../connection.ts';
import { CopyOut } from '../copy/copy-out.ts';
import { translateError } from '../sqlstate.ts';
import { beginDeferred } from './deferred-reading.ts';
import { sessionLabel } from './names.ts';
import {
  beginReading,
  copyOutStatement,
  digestOfUnit,
  lockLeaf,
  markStatement,
} from './reading-statements.ts';

/**
 * Everything up to the last row is one message: a unit that is over in milliseconds feels each round trip. Where the
 * rows may stay, or are read under the snapshot of another session, see deferred-reading.ts.
 */
export async function openUnitReading(sessions: Sessions, request: OpenReading): Promise<UnitReading> {
  const session = await sessions.open(
    sessionLabel(request.job, request.unit),
    `reading ${request.unit.chunk}`,
  );
  const onAbort = (): void => void session.destroy();
  request.signal.addEventListener('abort', onAbort, { once: true });
  try {
    request.signal.throwIfAborted();
    if (request.snapshot !== undefined || request.remembered === true)
      return await beginDeferred(session, request);
    const copy = new CopyOut(messageOf(request), {
      framed: request.framed,
      explain: (error) => translateError(error, { ...session.place, chunk: request.unit.chunk }),
    }).start(session.client);
    return new PostgresReading(session, request, { copy, mark: markOf(await copy.firstRow) });
  } catch (error) {
    await session.destroy();
    throw error;
  } finally {
    // From here on the reading is closed by its owner, who sees the same signal.
    request.signal.removeEventListener('abort', onAbort);
  }
}

function messageOf(request: OpenReading): string {
  return [
    beginReading,
    lockLeaf(request),
    markStatement,
    copyOutStatement(request),
    ...(needsSnapshotAfterwards(request) ? [] : ['COMMIT']),
  ].join('; ');
}

function needsSnapshotAfterwards({ verify }: OpenReading): boolean {
  return verify === 'digest';
}

function markOf([snapshot, insertPosition, systemId, timeline]: readonly (string | null)[]): SnapshotMark {
  if (typeof snapshot !== 'string')
    throw new SynclineError('internal.unexpected', 'The server gave no snapshot.');
  return {
    snapshot,
    insertPosition: insertPosition ?? '',
    systemId: systemId ?? '',
    timeline: Number(timeline),
  };
}

class PostgresReading implements UnitReading {
  readonly mark: SnapshotMark;
  private readonly session: OpenSession;
  private readonly request: OpenReading;
  private readonly copy: CopyOut;
  private complete = false;
  private closing: Promise<void> | null = null;
  private readonly onAbort = (): void => void this.session.destroy();

  constructor(
    session: OpenSession,
    request: OpenReading,
    begun: { readonly copy: CopyOut; readonly mark: SnapshotMark },
  ) {
    this.session = session;
    this.request = request;
    this.copy = begun.copy;
    this.mark = begun.mark;
    request.signal.addEventListener('abort', this.onAbort, { once: true });
  }

  rows(): ReturnType<UnitReading['rows']> {
    const { plan, framed } = this.request;
    return { format: plan.format, framed, bytes: this.copy };
  }

  async copied(): Promise<{ readonly rows: number; readonly bytes: number }> {
    const rows = await this.copy.finished;
    this.complete = true;
    return { rows, bytes: this.copy.payloadBytes };
  }

  async digest(): Promise<string> {
    if (!needsSnapshotAfterwards(this.request))
      throw new SynclineError('internal.unexpected', 'A digest is for units that are verified by it.');
    return await digestOfUnit(this.session, this.request);
  }

  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  private async end(): Promise<void> {
    this.request.signal.removeEventListener('abort', this.onAbort);
    if (!this.complete) {
      await this.session.destroy();
      return;
    }
    try {
      if (needsSnapshotAfterwards(this.request)) await this.session.query('COMMIT');
      this.session.release();
    } catch {
      // A read-only transaction has nothing to lose.
      await this.session.destroy();
    }
  }
}
