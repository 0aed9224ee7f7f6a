import { postgresModule } from '../../../../stores/postgres/module.ts';
import type {
  BeginLog,
  FollowLog,
  LinkAddress,
  LogChange,
  LogPiece,
  LogPosition,
  LogReading,
  LogSource,
  PublishedTable,
  RowImage,
} from '../../../../stores/spi/log.ts';
import { requireCapability, type Store } from '../../../../stores/spi/store.ts';
import { createDatabase, type TestDatabase } from '../../../support/postgres.ts';

/** A source of a log under test, and what reads it as an application would. */
export interface LoggedSource {
  readonly database: TestDatabase;
  readonly store: Store;
  readonly log: LogSource;
  drop(): Promise<void>;
}

export async function createLogged(version: 18 | 15): Promise<LoggedSource> {
  const database = await createDatabase(version);
  const store = openStore(database.url);
  return {
    database,
    store,
    log: requireCapability(store, 'logSource'),
    drop: async () => {
      await store.close();
      await database.drop();
    },
  };
}

export function openStore(url: string): Store {
  return postgresModule.open('source', {
    kind: 'postgres',
    url,
    connections: 6,
    connectTimeoutMs: 10_000,
  });
}

let links = 0;

/** Names are per server: tests run side by side. */
export function newAddress(): LinkAddress {
  links += 1;
  const name = `syncline_${(process.pid * 1000 + links).toString(16).padStart(8, '0').slice(-8)}`;
  return { job: `job-${name.slice(-6)}`, slot: name, publication: name };
}

export function tables(...names: readonly string[]): readonly PublishedTable[] {
  return names.map((name) => ({ table: { schema: 'public', name }, insertsOnly: false }));
}

export function beginning(
  address: LinkAddress,
  published: readonly PublishedTable[],
  more: Partial<BeginLog> = {},
): BeginLog {
  return {
    address,
    tables: published,
    deadlineMs: 20_000,
    signal: new AbortController().signal,
    waiting: () => undefined,
    ...more,
  };
}

export function following(address: LinkAddress, from: LogPosition, more: Partial<FollowLog> = {}): FollowLog {
  return {
    address,
    from,
    pieceChanges: 1000,
    pieceBytes: 4 * 1024 * 1024,
    binary: false,
    signal: new AbortController().signal,
    ...more,
  };
}

/** Pieces until one answers `isEnough`; all of them. */
export async function readUntil(
  reading: LogReading,
  isEnough: (piece: LogPiece) => boolean,
): Promise<readonly LogPiece[]> {
  const pieces: LogPiece[] = [];
  for await (const piece of reading.pieces()) {
    pieces.push(piece);
    if (isEnough(piece)) return pieces;
  }
  throw new Error('The log ended');
}

/** Columns of an image as text; `undefined` for an unchanged value. Binary values in hex. */
export function valuesOf(image: RowImage | null): readonly (string | null | undefined)[] | null {
  if (image === null) return null;
  const values: (string | null | undefined)[] = [];
  let at = 2;
  for (let left = image.readUInt16BE(0); left > 0; left -= 1) {
    const kind = image.toString('latin1', at, at + 1);
    at += 1;
    if (kind === 'n') values.push(null);
    else if (kind === 'u') values.push(undefined);
    else {
      const length = image.readUInt32BE(at);
      const bytes = image.subarray(at + 4, at + 4 + length);
      values.push(kind === 'b' ? `\\x${bytes.toString('hex')}` : bytes.toString('utf8'));
      at += 4 + length;
    }
  }
  return values;
}

/** A change in few words: `insert t 1,a`, `update t 1,a -> 2,a`, `truncate t`. */
export function told(change: LogChange): string {
  const what = `${change.kind} ${change.relation.name.name}`;
  if (change.kind === 'truncate') return what;
  const [before, after] = [change.old, change.new].map((image) =>
    valuesOf(image)
      ?.map((value) => (value === undefined ? '~' : (value ?? '-')))
      .join(','),
  );
  if (before === undefined) return `${what} ${after ?? ''}`;
  return after === undefined ? `${what} ${before}` : `${what} ${before} -> ${after}`;
}
