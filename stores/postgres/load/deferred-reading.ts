import { SynclineError } from '../../../definitions/errors.ts';
import type { OpenReading, UnitReading } from '../../spi/chunk-source.ts';
import type { ContentMark, EarlierLoad, SnapshotMark } from '../../spi/rows.ts';
import type { OpenSession, Session } from '../connection.ts';
import { CopyOut } from '../copy/copy-out.ts';
import { displayName, quoteLiteral, quoteName } from '../identifiers.ts';
import { queryEach } from '../query-each.ts';
import { translateError } from '../sqlstate.ts';
import { type Content, isUnchangedSince, readContent } from './content-mark.ts';
import {
  beginReading,
  copyOutStatement,
  digestOfUnit,
  lockLeaf,
  markStatement,
} from './reading-statements.ts';

/**
 * Reads a unit step by step: its rows are asked for after it is known whether they must travel at all, or under a
 * snapshot that another session holds. Costs a few round trips more than unit-reading.ts.
 */
export async function beginDeferred(session: OpenSession, request: OpenReading): Promise<UnitReading> {
  const mark =
    request.snapshot === undefined
      ? await beginUnderOwn(session, request)
      : await beginUnder(session, request.snapshot, request);
  return new DeferredReading(session, request, mark);
}

class DeferredReading implements UnitReading {
  readonly mark: SnapshotMark;
  private readonly session: OpenSession;
  private readonly request: OpenReading;
  private copy: CopyOut | null = null;
  private known: Promise<Content | null> | null = null;
  private closing: Promise<void> | null = null;
  private idle = true;
  private readonly onAbort = (): void => void this.session.destroy();

  constructor(session: OpenSession, request: OpenReading, mark: SnapshotMark) {
    this.session = session;
    this.request = request;
    this.mark = mark;
    request.signal.addEventListener('abort', this.onAbort, { once: true });
  }

  rows(): ReturnType<UnitReading['rows']> {
    const { plan, framed, unit } = this.request;
    this.idle = false;
    this.copy = new CopyOut(copyOutStatement(this.request), {
      framed,
      explain: (error) => translateError(error, { ...this.session.place, chunk: unit.chunk }),
    }).start(this.session.client);
    return { format: plan.format, framed, bytes: this.copy };
  }

  async copied(): Promise<{ readonly rows: number; readonly bytes: number }> {
    if (this.copy === null) throw new SynclineError('internal.unexpected', 'copied() before rows().');
    const rows = await this.copy.finished;
    this.idle = true;
    return { rows, bytes: this.copy.payloadBytes };
  }

  async digest(): Promise<string> {
    return await digestOfUnit(this.session, this.request);
  }

  async content(): Promise<ContentMark | null> {
    return (await this.readContent())?.mark ?? null;
  }

  async unchangedSince(earlier: EarlierLoad): Promise<boolean> {
    const now = await this.readContent();
    return now !== null && (await isUnchangedSince(this.session, this.request, { now, earlier }));
  }

  /** The snapshot stands still, so once will do. */
  private readContent(): Promise<Content | null> {
    this.known ??= readContent(this.session, this.request, this.mark);
    return this.known;
  }

  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  private async end(): Promise<void> {
    this.request.signal.removeEventListener('abort', this.onAbort);
    if (!this.idle) {
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
}

interface MarkRow {
  readonly snapshot: string;
  readonly insert_position: string;
  readonly system_id: string;
  readonly timeline: number;
}

export function markOfRow(rows: readonly unknown[] | undefined): SnapshotMark {
  const row = rows?.[0] as MarkRow | undefined;
  if (row === undefined) throw new SynclineError('internal.unexpected', 'The server gave no snapshot.');
  return {
    snapshot: row.snapshot,
    insertPosition: row.insert_position,
    systemId: row.system_id,
    timeline: row.timeline,
  };
}

async function beginUnderOwn(session: Session, request: OpenReading): Promise<SnapshotMark> {
  const [, , rows] = await queryEach(session, [beginReading, lockLeaf(request), markStatement]);
  return markOfRow(rows);
}

/** A snapshot must be imported before any query, so here it is older than the lock. */
export async function beginUnder(
  session: Session,
  snapshot: string,
  request: OpenReading,
): Promise<SnapshotMark> {
  await importSnapshot(session, snapshot);
  const [, rows, found] = await queryEach(session, [lockLeaf(request), markStatement, sameTable(request)]);
  if ((found?.[0] as { same: boolean } | undefined)?.same === true) return markOfRow(rows);
  throw new SynclineError(
    'source.chunkChanged',
    `${displayName(request.unit.sourceLeaf)} was emptied, rewritten, replaced or lost a column after the one snapshot of the whole backup was taken.`,
    { details: { chunk: request.unit.chunk } },
  );
}

/** Begins to read under the snapshot of another session. Throws `source.snapshotLost`. */
export async function importSnapshot(session: Session, snapshot: string): Promise<void> {
  try {
    await queryEach(session, [beginReading, `SET TRANSACTION SNAPSHOT ${quoteLiteral(snapshot)}`]);
  } catch (error) {
    throw asSnapshotLost(error);
  }
}

/** SQLSTATEs of a snapshot that is not there, whose session is gone, or that is of another database. */
const lostStates = new Set(['22023', '42704', '55000', '0A000']);

function asSnapshotLost(error: unknown): unknown {
  if (!(error instanceof SynclineError) || !lostStates.has(error.details.sqlState ?? '')) return error;
  return new SynclineError(
    'source.snapshotLost',
    'The one snapshot of the whole backup cannot be read under any more: the session that held it has ended.',
    { details: error.details, cause: error },
  );
}

/**
 * Queries of the catalogue answer under the snapshot, but functions, and the names of the lock and of COPY, by the
 * present: where they differ, COPY would read storage or columns that the snapshot knows nothing of, and find them empty.
 */
function sameTable({ unit, plan }: OpenReading): string {
  const { schema, name } = unit.sourceLeaf;
  const columns = plan.columns.map(quoteLiteral).join(', ');
  return `SELECT EXISTS (
    SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid = ${quoteLiteral(quoteName(unit.sourceLeaf))}::regclass AND c.relname = ${quoteLiteral(name)}
       AND n.nspname = ${quoteLiteral(schema)} AND c.relfilenode = pg_relation_filenode(c.oid)
       AND ${String(plan.columns.length)} = (SELECT count(*) FROM pg_attribute a
         WHERE a.attrelid = c.oid AND a.attname = ANY (ARRAY[${columns}]::text[]) AND a.attnum > 0
           AND has_column_privilege(c.oid, a.attnum, 'SELECT') IS NOT NULL)) AS same`;
}
