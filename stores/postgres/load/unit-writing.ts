import { SynclineError } from '../../../definitions/errors.ts';
import type {
  BeginWriting,
  CommitHooks,
  LoadedUnit,
  UnitReceipt,
  UnitWriting,
} from '../../spi/chunk-target.ts';
import type { RowStream } from '../../spi/rows.ts';
import type { OpenSession, Session, Sessions } from '../connection.ts';
import { quoteLiteral } from '../identifiers.ts';
import { addDigests, digestExpression } from './digest.ts';
import { type LeafFacts, plainFacts, readLeafFacts, readTableKind } from './leaf-facts.ts';
import { sessionLabel } from './names.ts';
import { areRowsThere } from './rows-there.ts';
import { takeUnitLock } from './unit-lock.ts';
import { createInPlaceWay } from './way-in-place.ts';
import { createFinishWay, createSliceWay, ensureShadow, slicesMeet } from './way-slice.ts';
import { createStagedWay } from './way-staged.ts';
import { createSwapWay } from './way-swap.ts';
import type { WayContext } from './way-context.ts';
import type { Way } from './way.ts';

type Begun = { readonly loaded: LoadedUnit } | { readonly writing: UnitWriting; readonly slices: LoadedUnit };

const noSlices: LoadedUnit = { rows: 0, bytes: 0, digest: null };

/** Opens the transaction of a unit: lock, ledger, way. See ChunkTarget.begin. */
export async function beginUnit(sessions: Sessions, request: BeginWriting): Promise<Begun> {
  const { unit, plan } = request;
  if (unit.kind === 'slice' && slicesMeet(plan)) await ensureShadow(sessions, request);
  const session = await sessions.openForWriting(sessionLabel(request.ref.job, unit), `writing ${unit.chunk}`);
  const onAbort = (): void => void session.destroy();
  request.signal.addEventListener('abort', onAbort, { once: true });
  try {
    request.signal.throwIfAborted();
    const facts = await factsFor(session, request);
    const loaded = await takeUnitLock(session, request);
    if (loaded !== null) {
      await session.query('ROLLBACK');
      session.release();
      return { loaded };
    }
    const context: WayContext = { session, request, facts };
    const slices = unit.kind === 'finish' ? await sumOfSlices(session, request) : noSlices;
    return { writing: new PostgresWriting(context, wayOf(context)), slices };
  } catch (error) {
    await session.destroy();
    throw error;
  } finally {
    request.signal.removeEventListener('abort', onAbort);
  }
}

/** As few as the way needs: a round trip more is felt where chunks are tiny. */
async function factsFor(session: Session, { plan, unit }: BeginWriting): Promise<LeafFacts> {
  if (unit.kind === 'finish') return await readLeafFacts(session, unit.targetLeaf);
  if (unit.kind === 'whole' && plan.strategy === 'swap') return await readLeafFacts(session, unit.targetLeaf);
  return plan.strategy === 'in-place'
    ? plainFacts(unit.targetLeaf)
    : await readTableKind(session, unit.targetLeaf);
}

function wayOf(context: WayContext): Way {
  const { unit, plan } = context.request;
  if (unit.kind === 'finish') return createFinishWay(context);
  switch (plan.strategy) {
    case 'swap':
      return unit.kind === 'slice' ? createSliceWay(context) : createSwapWay(context);
    case 'in-place':
      return unit.kind === 'slice' ? createSliceWay(context) : createInPlaceWay(context);
    case 'object':
      throw new SynclineError('internal.unexpected', 'A PostgreSQL table takes no objects.');
    case 'append':
    case 'upsert':
    case 'difference':
    case 'delete-insert':
      return createStagedWay(context);
  }
}

class PostgresWriting implements UnitWriting {
  private readonly context: WayContext;
  private readonly way: Way;
  private readonly session: OpenSession;
  private finished = false;
  private readonly onAbort = (): void => void this.session.destroy();

  constructor(context: WayContext, way: Way) {
    this.context = context;
    this.way = way;
    this.session = context.session;
    context.request.signal.addEventListener('abort', this.onAbort, { once: true });
  }

  async write(rows: RowStream): Promise<{ readonly rows: number; readonly kept?: number }> {
    const taken = await this.way.fill(rows);
    const kept = (await this.way.kept?.()) ?? null;
    return kept === null ? { rows: taken } : { rows: taken, kept };
  }

  build(): Promise<void> {
    return this.way.build();
  }

  async count(): Promise<number> {
    const rows = await this.session.query<{ rows: string }>(
      `SELECT count(*) AS rows FROM ${this.way.scan()}`,
    );
    return Number(rows[0]?.rows ?? 0);
  }

  async digest(): Promise<string> {
    const { plan, unit } = this.context.request;
    const columns = { all: plan.columns, retyped: plan.retyped };
    const expression = await digestExpression(this.session, unit.targetLeaf, columns);
    const rows = await this.session.query<{ digest: string }>(
      `SELECT ${expression} AS digest FROM ${this.way.scan()}`,
    );
    return rows[0]?.digest ?? '';
  }

  async commit(receipt: UnitReceipt, hooks: CommitHooks): Promise<void> {
    await this.way.publish((waitedMs) => hooks.onBlocked(waitedMs));
    await hooks.beforeCommit();
    await this.record(receipt);
  }

  async keep(receipt: UnitReceipt, hooks: CommitHooks): Promise<boolean> {
    const { session, request } = this.context;
    const { unit, plan } = request;
    const becomesVisible = unit.kind === 'whole' || (unit.kind === 'slice' && !slicesMeet(plan));
    if (!becomesVisible || !(await areRowsThere(session, request, receipt.digest))) return false;
    await hooks.beforeCommit();
    await this.record({ ...receipt, bytes: 0 });
    return true;
  }

  /** The ledger row, and the end of the transaction. */
  private async record(receipt: UnitReceipt): Promise<void> {
    const { ref, unit, attempt } = this.context.request;
    const values = [
      ...[ref.job, ref.load, unit.chunk].map(quoteLiteral),
      String(unit.slice),
      quoteLiteral(ref.run),
      String(attempt),
      String(receipt.rows),
      String(receipt.bytes),
      receipt.digest === null ? 'NULL' : quoteLiteral(receipt.digest),
      quoteLiteral(receipt.mark.snapshot),
      quoteLiteral(receipt.mark.insertPosition),
      quoteLiteral(receipt.mark.systemId),
      String(receipt.mark.timeline),
    ].join(', ');
    try {
      await this.session.query(
        `INSERT INTO syncline.ledger (job, load, chunk, slice, run, attempt, rows, bytes, digest, snapshot, insert_lsn,
           system_id, timeline) VALUES (${values}); COMMIT`,
      );
    } catch (error) {
      throw asSuperseded(error, unit.chunk);
    }
    this.end();
    this.session.release();
  }

  async abort(): Promise<void> {
    if (this.finished) return;
    this.end();
    // Closing the socket rolls back too, and does not wait for a statement that still runs.
    await this.session.destroy();
  }

  private end(): void {
    this.finished = true;
    this.context.request.signal.removeEventListener('abort', this.onAbort);
  }
}

/** The ledger's primary key is the last word: another attempt committed this unit first. */
function asSuperseded(error: unknown, chunk: string): unknown {
  if (error instanceof SynclineError && error.details.constraint === 'ledger_pkey') {
    return new SynclineError('target.superseded', `Another attempt has committed ${chunk}.`, {
      details: { chunk },
      cause: error,
    });
  }
  return error;
}

/**
 * What the slices of a chunk add up to, by their ledger rows; throws when one is missing. They stand just before the
 * `finish` in the plan, and by its key that is quick however many units the load has.
 */
async function sumOfSlices(session: Session, request: BeginWriting): Promise<LoadedUnit> {
  const { ref, unit } = request;
  const rows = await session.query<{
    planned: string;
    done: string;
    rows: string;
    bytes: string;
    digests: (string | null)[];
  }>(
    `SELECT (SELECT count(*) FROM syncline.unit WHERE job = $1 AND load = $2 AND ordinal BETWEEN $4 AND $5 AND kind = 'slice') AS planned,
            count(*) AS done, coalesce(sum(rows), 0) AS rows, coalesce(sum(bytes), 0) AS bytes,
            coalesce(json_agg(digest), '[]') AS digests
       FROM syncline.ledger WHERE job = $1 AND load = $2 AND chunk = $3 AND slice > 0`,
    [ref.job, ref.load, unit.chunk, unit.firstOfChunk, unit.ordinal],
  );
  const sum = rows[0];
  if (sum === undefined || sum.planned !== sum.done) {
    throw new SynclineError('source.chunkChanged', `Chunk ${unit.chunk} has slices that were not loaded.`, {
      details: { chunk: unit.chunk },
    });
  }
  const digests = sum.digests.filter((digest) => digest !== null);
  return {
    rows: Number(sum.rows),
    bytes: Number(sum.bytes),
    digest: digests.length === sum.digests.length ? addDigests(digests) : null,
  };
}
