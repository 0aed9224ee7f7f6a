import { SynclineError } from '../../../definitions/errors.ts';
import type { OpenReading } from '../../spi/chunk-source.ts';
import type { OpenTouched, TouchedKeys, TouchedReading } from '../../spi/touched-rows.ts';
import type { OpenSession, Session, Sessions } from '../connection.ts';
import { CopyOut } from '../copy/copy-out.ts';
import { quoteColumns, quoteLiteral, quoteName } from '../identifiers.ts';
import { beginUnder } from '../load/deferred-reading.ts';
import { digestExpression } from '../load/digest.ts';
import { sessionLabel } from '../load/names.ts';
import { rowsOfUnit } from '../load/reading-statements.ts';
import { sourceConditions, whereClause } from '../load/rows-of-unit.ts';
import { translateError } from '../sqlstate.ts';
import { fieldsOfKey } from './key-fields.ts';

/** Keys of one question. */
const keysAtOnce = 10_000;

/**
 * First where the rows lie (a version that a snapshot sees stays in its place while the snapshot is held), then the rows from
 * there, by COPY: keys go to the server in their binary form, which COPY takes no parameters for.
 */
export async function openTouched(sessions: Sessions, request: OpenTouched): Promise<TouchedReading> {
  const { job, unit, signal } = request;
  const session = await sessions.open(sessionLabel(job, unit), `reading ${unit.chunk} again`);
  const onAbort = (): void => void session.destroy();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    signal.throwIfAborted();
    const asked: OpenReading = { ...request, framed: false };
    await beginUnder(session, request.snapshot, asked);
    const places = await placesOf(session, request);
    return new PostgresTouchedReading(session, asked, places);
  } catch (error) {
    await session.destroy();
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

class PostgresTouchedReading implements TouchedReading {
  private readonly session: OpenSession;
  private readonly request: OpenReading;
  private readonly places: readonly string[];
  private copy: CopyOut | null = null;
  private idle = true;
  private closing: Promise<void> | null = null;
  private readonly onAbort = (): void => void this.session.destroy();

  constructor(session: OpenSession, request: OpenReading, places: readonly string[]) {
    this.session = session;
    this.request = request;
    this.places = places;
    request.signal.addEventListener('abort', this.onAbort, { once: true });
  }

  rows(): ReturnType<TouchedReading['rows']> {
    const { plan, unit } = this.request;
    const places = quoteLiteral(`{${this.places.map((place) => `"${place}"`).join(',')}}`);
    const rows = `SELECT ${quoteColumns(plan.columns)} FROM ONLY ${quoteName(unit.sourceLeaf)} WHERE ctid = ANY (${places}::tid[])`;
    this.idle = false;
    this.copy = new CopyOut(`COPY (${rows}) TO STDOUT (FORMAT binary)`, {
      framed: false,
      explain: (error) => translateError(error, { ...this.session.place, chunk: unit.chunk }),
    }).start(this.session.client);
    return { format: 'binary', framed: false, bytes: this.copy };
  }

  async read(): Promise<number> {
    if (this.copy === null) throw new SynclineError('internal.unexpected', 'read() before rows().');
    const rows = await this.copy.finished;
    this.idle = true;
    if (rows === this.places.length) return rows;
    throw new SynclineError(
      'internal.unexpected',
      `Of ${String(this.places.length)} touched rows of ${this.request.unit.chunk} ${String(rows)} came.`,
    );
  }

  async contents(): ReturnType<TouchedReading['contents']> {
    const { plan, unit, verify } = this.request;
    const columns = { all: plan.columns, retyped: plan.retyped };
    const digest =
      verify === 'digest' ? await digestExpression(this.session, unit.sourceLeaf, columns) : 'NULL';
    const [found] = await this.session.query<{ rows: string; digest: string | null }>(
      `SELECT count(*) AS rows, ${digest} AS digest FROM ${rowsOfUnit(this.request)}`,
    );
    return { rows: Number(found?.rows ?? 0), digest: found?.digest ?? null };
  }

  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  private async end(): Promise<void> {
    this.request.signal.removeEventListener('abort', this.onAbort);
    try {
      if (!this.idle) throw new Error('rows are still coming');
      await this.session.query('COMMIT');
      this.session.release();
    } catch {
      // A read-only transaction has nothing to lose.
      await this.session.destroy();
    }
  }
}

async function placesOf(session: Session, { plan, unit, keys }: OpenTouched): Promise<string[]> {
  const types = await arrayTypes(session, keys);
  const asked = `ROW(${quoteColumns(keys.columns)}) IN (SELECT * FROM unnest(${types
    .map((type, index) => `$${String(index + 1)}::${type}`)
    .join(', ')}))`;
  const conditions = whereClause([...sourceConditions(plan, unit), asked]);
  const places: string[] = [];
  for (let from = 0; from < keys.keys.length; from += keysAtOnce) {
    const some = { ...keys, keys: keys.keys.slice(from, from + keysAtOnce) };
    const rows = await session.query<{ place: string }>(
      `SELECT ctid::text AS place FROM ONLY ${quoteName(unit.sourceLeaf)}${conditions}`,
      binaryArrays(some),
    );
    for (const { place } of rows) places.push(place);
  }
  return places;
}

async function arrayTypes(session: Session, { typeIds }: TouchedKeys): Promise<readonly string[]> {
  const rows = await session.query<{ name: string }>(
    `SELECT format_type(t.typarray, NULL) AS name FROM unnest($1::oid[]) WITH ORDINALITY AS a(id, number)
       JOIN pg_type t ON t.oid = a.id WHERE t.typarray <> 0 ORDER BY a.number`,
    [typeIds.map(String)],
  );
  if (rows.length === typeIds.length) return rows.map(({ name }) => name);
  throw new SynclineError('log.schemaChanged', 'A type of a key that the log names is not there any more.');
}

/** One array a column, as `array_recv` of the server takes it: dimensions, flags, type; length, first index; values. */
function binaryArrays({ columns, typeIds, keys }: TouchedKeys): readonly Buffer[] {
  const parts = columns.map((_, index): Buffer[] => [arrayHead(typeIds[index] ?? 0, keys.length)]);
  for (const key of keys) {
    for (const [index, field] of fieldsOfKey(key).entries()) parts[index]?.push(field);
  }
  return parts.map((column) => Buffer.concat(column));
}

function arrayHead(typeId: number, length: number): Buffer {
  const head = Buffer.alloc(20);
  head.writeInt32BE(1, 0);
  head.writeInt32BE(0, 4);
  head.writeUInt32BE(typeId, 8);
  head.writeInt32BE(length, 12);
  head.writeInt32BE(1, 16);
  return head;
}
