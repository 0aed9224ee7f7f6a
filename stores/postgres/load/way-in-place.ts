import { Readable } from 'node:stream';
import type { RowStream } from '../../spi/rows.ts';
import { SynclineError } from '../../../definitions/errors.ts';
import { quoteName } from '../identifiers.ts';
import { missingOnTarget } from './leaf-facts.ts';
import { withShortLocks } from './swap.ts';
import { copyRows, type WayContext } from './way-context.ts';
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
      const ready = request.unit.bytes <= bufferedBytes ? await buffered(rows) : rows;
      // TRUNCATE takes ACCESS EXCLUSIVE itself. Once the savepoint is released, COPY may still FREEZE.
      await emptied(context, `TRUNCATE ONLY ${table}`);
      return await copyRows(context, { into: table, rows: ready, freeze: true });
    },
    build: () => Promise.resolve(),
    scan: () => `ONLY ${table}`,
    publish: () => Promise.resolve(),
  };
}

async function emptied({ session, facts, request }: WayContext, statement: string): Promise<void> {
  try {
    await withShortLocks(session, {
      statements: [statement],
      facts,
      signal: request.signal,
      onBlocked: () => undefined,
    });
  } catch (error) {
    const isGone = error instanceof SynclineError && error.code === 'source.chunkChanged';
    throw isGone ? missingOnTarget(facts.name) : error;
  }
}

/** Reads ahead up to the limit; what is more (the estimate was low) follows as a stream. */
async function buffered(rows: RowStream): Promise<RowStream> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  const source = rows.bytes[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  while (bytes <= bufferedBytes) {
    const next = await source.next();
    if (next.done === true) return { ...rows, bytes: Readable.from(pieces) };
    pieces.push(next.value);
    bytes += next.value.length;
  }
  const all = async function* (): AsyncGenerator<Buffer> {
    yield* pieces;
    for (let next = await source.next(); next.done !== true; next = await source.next()) yield next.value;
  };
  return { ...rows, bytes: Readable.from(all()) };
}
