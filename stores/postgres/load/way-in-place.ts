import { Readable } from 'node:stream';
import type { RowStream } from '../../spi/rows.ts';
import { SynclineError } from '../../../definitions/errors.ts';
import { CopyIn, type ReadyRows } from '../copy/copy-in.ts';
import { quoteName } from '../identifiers.ts';
import { translateError } from '../sqlstate.ts';
import { missingOnTarget } from './leaf-facts.ts';
import { withShortLocks } from './swap.ts';
import { copyRows, copyStatement, type WayContext } from './way-context.ts';
import type { Way } from './way.ts';

/** Up to here rows are read into memory before the old ones go, so that readers wait for the write alone. */
const bufferedBytes = 8 * 1024 * 1024;

/**
 * TRUNCATE and COPY into the same table: whatever hangs on it stays, and it costs the same under 10,000 partitions
 * as under ten. Readers of this leaf wait from TRUNCATE to commit.
 */
export function createInPlaceWay(context: WayContext): Way {
  const { facts, request } = context;
  const table = quoteName(facts.name);
  return {
    async fill(rows: RowStream) {
      const all = request.unit.bytes <= bufferedBytes ? await readAhead(rows) : rows;
      if ('pieces' in all) return await emptyAndFill(context, all);
      await emptied(context);
      return await copyRows(context, { into: table, rows: all, freeze: true });
    },
    build: () => Promise.resolve(),
    scan: () => `ONLY ${table}`,
    publish: () => Promise.resolve(),
  };
}

/** One message and one round trip for everything: it is felt where chunks are tiny. */
async function emptyAndFill(context: WayContext, rows: ReadyRows): Promise<number> {
  const { session, request, facts } = context;
  const copy = copyStatement(request.plan, { into: quoteName(facts.name), rows, freeze: false });
  let taken = 0;
  await emptied(context, async (statements) => {
    try {
      taken = await new CopyIn(`${statements}; ${copy}`).runAtOnce(session.client, rows);
    } catch (error) {
      throw translateError(error, { ...session.place, chunk: request.unit.chunk });
    }
  });
  return taken;
}

/** TRUNCATE takes ACCESS EXCLUSIVE itself. Once the savepoint is released, COPY may still FREEZE. */
async function emptied(context: WayContext, send?: (statements: string) => Promise<void>): Promise<void> {
  const { session, facts, request } = context;
  try {
    await withShortLocks(session, {
      statements: [`TRUNCATE ONLY ${quoteName(facts.name)}`],
      ...(send === undefined ? {} : { send }),
      facts,
      signal: request.signal,
      onBlocked: () => undefined,
    });
  } catch (error) {
    const isGone = error instanceof SynclineError && error.code === 'source.chunkChanged';
    throw isGone ? missingOnTarget(facts.name) : error;
  }
}

/** Reads up to the limit; what is more (the estimate was low) follows as a stream. */
async function readAhead(rows: RowStream): Promise<ReadyRows | RowStream> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  const source = rows.bytes[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  while (bytes <= bufferedBytes) {
    const next = await source.next();
    if (next.done === true) return { format: rows.format, framed: rows.framed, pieces };
    pieces.push(next.value);
    bytes += next.value.length;
  }
  const all = async function* (): AsyncGenerator<Buffer> {
    yield* pieces;
    for (let next = await source.next(); next.done !== true; next = await source.next()) yield next.value;
  };
  return { ...rows, bytes: Readable.from(all()) };
}
