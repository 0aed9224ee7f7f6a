import { SynclineError } from '../../../definitions/errors.ts';
import type { OpenReading, UnitReading } from '../../spi/chunk-source.ts';
import type { SnapshotMark } from '../../spi/rows.ts';
import type { OpenSession, Sessions } from '../connection.ts';
import { CopyOut } from '../copy/copy-out.ts';
import { quoteColumns, quoteName } from '../identifiers.ts';
import { translateError } from '../sqlstate.ts';
import { digestExpression } from './digest.ts';
import { sessionLabel } from './names.ts';
import { sourceConditions, whereClause } from './rows-of-unit.ts';

/**
 * The lock comes first: LOCK takes no snapshot, while TRUNCATE and table rewrites ignore snapshots and must be kept
 * out before one is taken (design 3.1, step 2). The insert LSN is read after the snapshot. The timeline is that of the
 * log being written: the last checkpoint may still be of the one before a promotion.
 */
const markStatement = `SELECT pg_current_snapshot()::text AS snapshot,
  (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END)::text AS insert_position,
  (SELECT system_identifier::text FROM pg_control_system()) AS system_id,
  (CASE WHEN pg_is_in_recovery() THEN (SELECT timeline_id FROM pg_control_checkpoint())
    ELSE ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int END) AS timeline`;

/** Everything up to the last row is one message: a unit that is over in milliseconds feels each round trip. */
export async function openUnitReading(sessions: Sessions, request: OpenReading): Promise<UnitReading> {
  const session = await sessions.open(
    sessionLabel(request.job, request.unit),
    `reading ${request.unit.chunk}`,
  );
  const onAbort = (): void => void session.destroy();
  request.signal.addEventListener('abort', onAbort, { once: true });
  try {
    request.signal.throwIfAborted();
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
    'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY',
    `LOCK TABLE ONLY ${quoteName(request.unit.sourceLeaf)} IN ACCESS SHARE MODE`,
    markStatement,
    copyStatement(request),
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
    const { plan, unit } = this.request;
    const expression = await digestExpression(this.session, unit.sourceLeaf, {
      all: plan.columns,
      retyped: plan.retyped,
    });
    const rows = await this.session.query<{ digest: string }>(
      `SELECT ${expression} AS digest FROM ${rowsOf(this.request)}`,
    );
    return rows[0]?.digest ?? '';
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

function rowsOf({ plan, unit }: OpenReading): string {
  return `ONLY ${quoteName(unit.sourceLeaf)}${whereClause(sourceConditions(plan, unit))}`;
}

function copyStatement(request: OpenReading): string {
  const { plan, unit } = request;
  const options = plan.format === 'binary' ? ' (FORMAT binary)' : '';
  const columns = quoteColumns(plan.columns);
  if (sourceConditions(plan, unit).length === 0 && plan.columns.length > 0) {
    return `COPY ${quoteName(unit.sourceLeaf)} (${columns}) TO STDOUT${options}`;
  }
  return `COPY (SELECT ${columns} FROM ${rowsOf(request)}) TO STDOUT${options}`;
}
