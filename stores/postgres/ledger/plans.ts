import { Readable } from 'node:stream';
import type {
  BatchPage,
  ListBatchesInput,
  LoadRef,
  PlanTotals,
  UnitBatch,
} from '../../../definitions/contracts/copy.ts';
import { SynclineError } from '../../../definitions/errors.ts';
import type { LoadUnit, TablePlan } from '../../spi/chunk-source.ts';
import type { LoadPlans, StoredLoad } from '../../spi/load-ledger.ts';
import {
  type GroupableUnit,
  groupUnits,
  lastOrdinalOfBlock,
  maxBatchUnits,
} from '../../../planning/batches.ts';
import type { Session, Sessions } from '../connection.ts';
import { CopyIn } from '../copy/copy-in.ts';
import { translateError } from '../sqlstate.ts';
import { ensureLedger, hasLedger } from './schema.ts';
import type { UnitRow } from './unit-rows.ts';
import { copyTextOf, unitColumns, unitOf } from './unit-rows.ts';

interface LoadRow {
  readonly job: string;
  readonly load: string;
  readonly run: string;
  readonly source_store: string;
  readonly target_store: string;
  readonly tables: readonly TablePlan[];
  readonly units: string;
  readonly chunks: string;
  readonly bytes: string;
}

export function createLoadPlans(sessions: Sessions): LoadPlans {
  const label = (job: string): string => `${job}/plan`;

  async function readOne(
    job: string,
    condition: string,
    values: readonly string[],
  ): Promise<StoredLoad | null> {
    return await sessions.use(label(job), async (session) => {
      if (!(await hasLedger(session))) return null;
      const rows = await session.query<LoadRow>(
        `SELECT * FROM syncline.load WHERE job = $1 AND ${condition} ORDER BY created_at DESC LIMIT 1`,
        [job, ...values],
      );
      const row = rows[0];
      return row === undefined ? null : storedLoad(row);
    });
  }

  return {
    async write(ref, tables, units) {
      await ensureLedger(sessions);
      return await sessions.use(label(ref.job), (session) => writePlan(session, { ref, tables, units }));
    },
    read: (ref) => readOne(ref.job, 'load = $2', [ref.load]),
    latest: (job) => readOne(job, 'true', []),
    async all(job) {
      return await sessions.use(label(job), async (session) => {
        if (!(await hasLedger(session))) return [];
        const rows = await session.query<LoadRow>(
          `SELECT * FROM syncline.load WHERE job = $1 ORDER BY created_at DESC`,
          [job],
        );
        return rows.map(storedLoad);
      });
    },
    async units(ref, from, to) {
      return await sessions.use(label(ref.job), async (session) => {
        const rows = await session.query<UnitRow>(
          `SELECT * FROM syncline.unit WHERE job = $1 AND load = $2 AND ordinal BETWEEN $3 AND $4 ORDER BY ordinal`,
          [ref.job, ref.load, from, to],
        );
        return rows.map(unitOf);
      });
    },
    async batches(request) {
      return await sessions.use(label(request.ref.job), (session) => batchPage(session, request));
    },
  };
}

function storedLoad(row: LoadRow): StoredLoad {
  return {
    ref: {
      job: row.job,
      load: row.load,
      run: row.run,
      sourceStore: row.source_store,
      targetStore: row.target_store,
    },
    totals: {
      units: Number(row.units),
      chunks: Number(row.chunks),
      bytes: Number(row.bytes),
      tables: row.tables.length,
    },
    tables: row.tables,
  };
}

interface NewPlan {
  readonly ref: LoadRef;
  readonly tables: readonly TablePlan[];
  readonly units: AsyncIterable<LoadUnit>;
}

/** One transaction: a plan is complete or not there, and the first one written stays. */
async function writePlan(session: Session, plan: NewPlan): Promise<PlanTotals> {
  const { ref, tables } = plan;
  await session.query('BEGIN');
  await session.query(`SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended($1, 1))`, [
    `${ref.job}\n${ref.load}`,
  ]);
  const there = await session.query<LoadRow>(`SELECT * FROM syncline.load WHERE job = $1 AND load = $2`, [
    ref.job,
    ref.load,
  ]);
  const old = there[0];
  if (old !== undefined) {
    await session.query('COMMIT');
    return storedLoad(old).totals;
  }
  const sums = { units: 0, chunks: 0, bytes: 0 };
  const lines = async function* (): AsyncGenerator<Buffer> {
    let pending: string[] = [];
    for await (const unit of plan.units) {
      sums.units += 1;
      if (unit.ordinal === unit.firstOfChunk) sums.chunks += 1;
      sums.bytes += unit.kind === 'finish' ? 0 : unit.bytes;
      pending.push(copyTextOf(ref, unit));
      if (pending.length === 1_000) {
        yield Buffer.from(pending.join(''));
        pending = [];
      }
    }
    yield Buffer.from(pending.join(''));
  };
  try {
    await new CopyIn(`COPY syncline.unit (${unitColumns}) FROM STDIN`).run(session.client, {
      format: 'text',
      framed: false,
      bytes: Readable.from(lines()),
    });
  } catch (error) {
    throw translateError(error, session.place);
  }
  await session.query(
    `INSERT INTO syncline.load (job, load, run, source_store, target_store, tables, units, chunks, bytes)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
    [
      ref.job,
      ref.load,
      ref.run,
      ref.sourceStore,
      ref.targetStore,
      JSON.stringify(tables),
      sums.units,
      sums.chunks,
      Math.round(sums.bytes),
    ],
  );
  await session.query('COMMIT');
  return { ...sums, tables: tables.length };
}

async function batchPage(session: Session, request: ListBatchesInput): Promise<BatchPage> {
  const { ref } = request;
  const totals = await session.query<{ units: string }>(
    `SELECT units FROM syncline.load WHERE job = $1 AND load = $2`,
    [ref.job, ref.load],
  );
  const totalUnits = totals[0]?.units;
  if (totalUnits === undefined)
    throw new SynclineError('job.notFound', `Job ${ref.job} has no plan for this load.`);
  const scope = { ref, totalUnits: Number(totalUnits) };
  return request.onlyMissing
    ? await missingPage(session, scope, request)
    : await planPage(session, scope, request);
}

interface Scope {
  readonly ref: LoadRef;
  readonly totalUnits: number;
}

/** Block by block, as planning/batches.ts asks for: the same batches come out wherever the page begins. */
async function planPage(session: Session, scope: Scope, page: ListBatchesInput): Promise<BatchPage> {
  const batches: UnitBatch[] = [];
  let after = page.after;
  while (after < scope.totalUnits && batches.length < page.limit) {
    const end = lastOrdinalOfBlock(after + 1);
    const units = await session.query<GroupRow>(
      `SELECT ordinal, first_of_chunk, kind, bytes, chunk, slice FROM syncline.unit
        WHERE job = $1 AND load = $2 AND ordinal > $3 AND ordinal <= $4 ORDER BY ordinal`,
      [scope.ref.job, scope.ref.load, after, end],
    );
    const some = groupUnits(units.map(groupable), scope).slice(0, page.limit - batches.length);
    batches.push(...some);
    after = some.at(-1)?.to ?? end;
  }
  return { batches, next: Math.min(after, scope.totalUnits), end: after >= scope.totalUnits };
}

/**
 * What no ledger row accounts for. After an ordinary run that is exactly the dead letters; after a terminated one the
 * rest of the load too, so that nothing must start again from zero.
 */
async function missingPage(session: Session, scope: Scope, page: ListBatchesInput): Promise<BatchPage> {
  const units = await session.query<GroupRow>(
    `SELECT u.ordinal, u.first_of_chunk, u.kind, u.bytes, u.chunk, u.slice FROM syncline.unit u
      WHERE u.job = $1 AND u.load = $2 AND u.ordinal > $3
        AND NOT EXISTS (SELECT FROM syncline.ledger l
              WHERE l.job = u.job AND l.load = u.load AND l.chunk = u.chunk AND l.slice = u.slice)
      ORDER BY u.ordinal LIMIT $4`,
    [scope.ref.job, scope.ref.load, page.after, maxBatchUnits * 2],
  );
  // A gap ends a batch, so a few dead letters come alone, and the rest of a load in the usual grain.
  const all = groupUnits(units.map(groupable), { totalUnits: units.length });
  const batches = all.slice(0, page.limit);
  const isEnd = units.length < maxBatchUnits * 2 && batches.length === all.length;
  return { batches, next: batches.at(-1)?.to ?? page.after, end: isEnd };
}

interface GroupRow {
  readonly ordinal: string;
  readonly first_of_chunk: string;
  readonly kind: LoadUnit['kind'];
  readonly bytes: string;
  readonly chunk: string;
  readonly slice: number;
}

function groupable(row: GroupRow): GroupableUnit {
  return {
    ordinal: Number(row.ordinal),
    firstOfChunk: Number(row.first_of_chunk),
    kind: row.kind,
    bytes: Number(row.bytes),
    chunk: row.chunk,
    slice: row.slice,
  };
}
