import type { TablePlan } from '../../spi/chunk-source.ts';
import type { RowStream } from '../../spi/rows.ts';
import { SynclineError } from '../../../definitions/errors.ts';
import type { Session, Sessions } from '../connection.ts';
import { quoteColumns, quoteName } from '../identifiers.ts';
import { type LeafFacts, readLeafFacts } from './leaf-facts.ts';
import { inSyncline, shadowName } from './names.ts';
import { buildIndexes, createShadowStatement } from './shadow.ts';
import { withShortLocks } from './swap.ts';
import { publishSwap } from './way-swap.ts';
import { copyRows, type WayContext } from './way-context.ts';
import type { Way } from './way.ts';
import type { BeginWriting } from '../../spi/chunk-target.ts';

/**
 * Slices of a big chunk meet in one shadow table, each in its own transaction with its own ledger row: a kill costs
 * one slice. The shadow is made beforehand, in a transaction of its own, and completed by the `finish` unit.
 */

const vacuumOption = 'autovacuum_enabled=';

export function slicesMeet({ strategy }: TablePlan): boolean {
  return strategy === 'swap' || strategy === 'in-place';
}

/** Not for a slice that is in the ledger: its chunk may be complete, and nobody would drop the shadow again. */
export async function ensureShadow(sessions: Sessions, request: BeginWriting): Promise<void> {
  const shadow = shadowName(request.ref, request.unit.chunk);
  await sessions.use(`${request.ref.job}/${request.unit.chunk}`, async (session) => {
    const there = await session.query<{ there: boolean }>(
      `SELECT EXISTS (SELECT FROM pg_class WHERE relname = $1 AND relnamespace = 'syncline'::regnamespace)
           OR EXISTS (SELECT FROM syncline.ledger WHERE (job, load, chunk, slice) = ($2, $3, $4, $5)) AS there`,
      [shadow, request.ref.job, request.ref.load, request.unit.chunk, request.unit.slice],
    );
    if (there[0]?.there === true) return;
    const facts = await readLeafFacts(session, request.unit.targetLeaf);
    await session.query('BEGIN');
    await session.query(`SELECT pg_advisory_xact_lock(hashtextextended($1, 2))`, [shadow]);
    await createShadow(session, facts, shadow);
    await session.query('COMMIT');
  });
}

/** Under the lock of its name. */
export async function createShadow(session: Session, facts: LeafFacts, shadow: string): Promise<void> {
  const options = facts.options.filter((option) => !option.startsWith(vacuumOption));
  const statement = createShadowStatement(facts, shadow, [...options, `${vacuumOption}false`]);
  await session.query(statement.replace('CREATE TABLE ', 'CREATE TABLE IF NOT EXISTS '));
}

/**
 * Margins for pages that another slice added to the table before we looked and we came to use. The server adds up to
 * 512 at once when many write; a small slice mostly gets the last page, and 1,024 would cost it more than its rows.
 */
const marginBlocks = 1_024;
const smallMarginBlocks = 32;
const smallSliceBytes = 8 * 1024 * 1024;

export function createSliceWay(context: WayContext): Way {
  const { session, request } = context;
  const shadow = inSyncline(shadowName(request.ref, request.unit.chunk));
  let firstBlock = 0;
  let blocksBefore = 0;
  let taken = 0;
  const ownRowsFound = async (): Promise<number> => {
    const found = await session.query<{ rows: string }>(
      `SELECT count(*) AS rows FROM ${ownRows(shadow, firstBlock)}`,
    );
    return Number(found[0]?.rows ?? 0);
  };
  return {
    async fill(rows: RowStream) {
      const size = await session.query<{ blocks: string }>(
        `SELECT pg_relation_size('${shadow.replaceAll("'", "''")}'::regclass) / current_setting('block_size')::bigint AS blocks`,
      );
      blocksBefore = Number(size[0]?.blocks ?? 0);
      taken = await copyRows(context, { into: shadow, rows, freeze: false });
      return taken;
    },
    async build() {
      if (request.verify === 'none') return;
      // Rows of ours may lie below a margin: look further back, in the end at all, rather than miss them.
      const margins =
        request.unit.bytes < smallSliceBytes ? [smallMarginBlocks, marginBlocks] : [marginBlocks];
      for (const margin of margins) {
        firstBlock = Math.max(0, blocksBefore - margin);
        if (firstBlock === 0 || (await ownRowsFound()) === taken) return;
      }
      firstBlock = 0;
    },
    scan: () => ownRows(shadow, firstBlock),
    publish: () => Promise.resolve(),
  };
}

/** Rows that this transaction wrote. No savepoint is open, so their xmin is our own xid. */
function ownRows(shadow: string, firstBlock: number): string {
  const tail = firstBlock === 0 ? '' : `ctid >= '(${String(firstBlock)},0)'::tid AND `;
  return `${shadow} WHERE ${tail}xmin = pg_current_xact_id()::xid`;
}

/** Completes a sliced chunk: indexes, then the same exchange as a whole chunk, or its rows into the old table. */
export function createFinishWay(context: WayContext): Way {
  const { session, facts, request } = context;
  const shadow = shadowName(request.ref, request.unit.chunk);
  const inPlace = request.plan.strategy === 'in-place';
  return {
    fill: () => {
      throw new SynclineError('internal.unexpected', 'A finish unit takes no rows.');
    },
    async build() {
      const own = facts.options.find((option) => option.startsWith(vacuumOption));
      await session.query(
        `ALTER TABLE ${inSyncline(shadow)} ${own === undefined ? 'RESET (autovacuum_enabled)' : `SET (${own})`}`,
      );
      if (!inPlace) await buildIndexes(session, facts, shadow);
    },
    scan: () => inSyncline(shadow),
    async publish(onBlocked) {
      await (inPlace ? pourInto : publishSwap)(context, shadow, onBlocked);
    },
  };
}

async function pourInto(
  context: WayContext,
  shadow: string,
  onBlocked: (waitedMs: number) => void,
): Promise<void> {
  const { session, facts, request } = context;
  const table = quoteName(facts.name);
  await withShortLocks(session, {
    statements: [`LOCK TABLE ONLY ${table} IN ACCESS EXCLUSIVE MODE`],
    facts,
    signal: request.signal,
    onBlocked,
  });
  const columns = quoteColumns(request.plan.columns);
  await session.query(`TRUNCATE ONLY ${table}`);
  await session.query(
    `INSERT INTO ${table} (${columns}) OVERRIDING SYSTEM VALUE SELECT ${columns} FROM ${inSyncline(shadow)}`,
  );
  await session.query(`DROP TABLE ${inSyncline(shadow)}`);
}
