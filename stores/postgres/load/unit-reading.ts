import { SynclineError } from '../../../definitions/errors.ts';
import type { OpenReading, UnitReading } from '../../spi/chunk-source.ts';
import type { SnapshotMark } from '../../spi/rows.ts';
import type { OpenSession, Sessions } from '../connection.ts';
import { CopyOut } from '../copy/copy-out.ts';
import { quoteColumns, quoteName } from '../identifiers.ts';
import { queryEach } from '../query-each.ts';
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

interface MarkRow {
  readonly snapshot: string;
  readonly insert_position: string;
  readonly system_id: string;
  readonly timeline: number;
}

export async function openUnitReading(sessions: Sessions, request: OpenReading): Promise<UnitReading> {
  const session = await sessions.open(
    sessionLabel(request.job, request.unit),
    `reading ${request.unit.chunk}`,
  );
  const onAbort = (): void => void session.destroy();
  request.signal.addEventListener('abort', onAbort, { once: true });
  try {
    request.signal.throwIfAborted();
    const [, , rows] = await queryEach(session, [
      'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY',
      `LOCK TABLE ONLY ${quoteName(request.unit.sourceLeaf)} IN ACCESS SHARE MODE`,
      markStatement,
    ]);
    const mark = rows?.[0] as MarkRow | undefined;
    if (mark === undefined) throw new SynclineError('internal.unexpected', 'The server gave no snapshot.');
    return new PostgresReading(session, request, {
      snapshot: mark.snapshot,
      insertPosition: mark.insert_position,
      systemId: mark.system_id,
      timeline: mark.timeline,
    });
  } catch (error) {
    await session.destroy();
    throw error;
  } finally {
    // From here on the reading is closed by its owner, who sees the same signal.
    request.signal.removeEventListener('abort', onAbort);
  }
}

class PostgresReading implements UnitReading {
  readonly mark: SnapshotMark;
  private readonly session: OpenSession;
  private readonly request: OpenReading;
  private copy: CopyOut | null = null;
  private complete = false;
  private closing: Promise<void> | null = null;
  private readonly onAbort = (): void => void this.session.destroy();

  constructor(session: OpenSession, request: OpenReading, mark: SnapshotMark) {
    this.session = session;
    this.request = request;
    this.mark = mark;
    request.signal.addEventListener('abort', this.onAbort, { once: true });
  }

  rows(): ReturnType<UnitReading['rows']> {
    const { plan, framed } = this.request;
    this.copy = new CopyOut(this.statement(), {
      framed,
      explain: (error) => translateError(error, { ...this.session.place, chunk: this.request.unit.chunk }),
    }).start(this.session.client);
    return { format: plan.format, framed, bytes: this.copy };
  }

  async copied(): Promise<{ readonly rows: number; readonly bytes: number }> {
    const copy = this.copy;
    if (copy === null) throw new SynclineError('internal.unexpected', 'copied() before rows().');
    const rows = await copy.finished;
    this.complete = true;
    return { rows, bytes: copy.payloadBytes };
  }

  async digest(): Promise<string> {
    const { plan, unit } = this.request;
    const expression = await digestExpression(this.session, unit.sourceLeaf, {
      all: plan.columns,
      retyped: plan.retyped,
    });
    const rows = await this.session.query<{ digest: string }>(
      `SELECT ${expression} AS digest FROM ${this.from()}`,
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
      await this.session.query('COMMIT');
      this.session.release();
    } catch {
      // A read-only transaction has nothing to lose.
      await this.session.destroy();
    }
  }

  private from(): string {
    const { plan, unit } = this.request;
    return `ONLY ${quoteName(unit.sourceLeaf)}${whereClause(sourceConditions(plan, unit))}`;
  }

  private statement(): string {
    const { plan, unit } = this.request;
    const options = plan.format === 'binary' ? ' (FORMAT binary)' : '';
    const conditions = sourceConditions(plan, unit);
    if (conditions.length === 0 && plan.columns.length > 0) {
      return `COPY ${quoteName(unit.sourceLeaf)} (${quoteColumns(plan.columns)}) TO STDOUT${options}`;
    }
    return `COPY (SELECT ${quoteColumns(plan.columns)} FROM ${this.from()}) TO STDOUT${options}`;
  }
}
