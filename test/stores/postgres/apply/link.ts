import { createLogTarget } from '../../../../stores/postgres/apply/log-target.ts';
import { Sessions } from '../../../../stores/postgres/connection.ts';
import { postgresSettings } from '../../../../stores/postgres/settings.ts';
import type {
  AppliedLeaf,
  CommitBatch,
  LinkState,
  LinkWriter,
  LogTarget,
  OpenLink,
  RoutedBatch,
} from '../../../../stores/spi/log-target.ts';
import type { LogChange } from '../../../../stores/spi/log.ts';
import { createDatabase, type TestDatabase } from '../../../support/postgres.ts';
import { positionAt } from './changes.ts';

export const ref = { job: 'live', target: 'dr' };

/** A database with a link, and what opens writers for it. */
export interface LinkPlace {
  readonly database: TestDatabase;
  readonly sessions: Sessions;
  readonly target: LogTarget;
  writer(options?: Partial<OpenLink>): Promise<LinkWriter>;
  end(): Promise<void>;
}

export async function createLinkPlace(version: 18 | 15, tables: string): Promise<LinkPlace> {
  return await createLinkPlaceIn(await createDatabase(version), tables);
}

export async function createLinkPlaceIn(database: TestDatabase, tables: string): Promise<LinkPlace> {
  await database.query(tables);
  const sessions = new Sessions('dr', postgresSettings.parse({ kind: 'postgres', url: database.url }));
  const target = createLogTarget(sessions);
  await target.create(newLink(1));
  const writers: LinkWriter[] = [];
  return {
    database,
    sessions,
    target,
    writer: async (options = {}) => {
      const writer = await target.open({
        ref,
        lanes: 1,
        durable: true,
        laggingAfterMs: 10_000,
        signal: new AbortController().signal,
        ...options,
      });
      writers.push(writer);
      return writer;
    },
    end: async () => {
      for (const writer of writers) await writer.close();
      await sessions.close();
      await database.drop();
    },
  };
}

export function newLink(position: number): Parameters<LogTarget['create']>[0] {
  return {
    ref,
    slot: 'syncline_1',
    publication: 'syncline_1',
    systemId: '7',
    timeline: 1,
    position: positionAt(position),
  };
}

export function leaf(name: string, columns: readonly string[], key: readonly string[] | null): AppliedLeaf {
  const table = { schema: 'public', name };
  return { source: table, table: `public.${name}`, target: table, columns, key };
}

export function batchOf(apply: readonly LogChange[], more: Partial<RoutedBatch> = {}): RoutedBatch {
  const transactions = new Set(apply.map(({ transaction }) => transaction)).size;
  return { apply, spool: [], filtered: 0, transactions, bytes: 100, ...more };
}

export const plainly: CommitBatch = { record: null, beforeCommit: () => Promise.resolve() };

/** One batch, whole. */
export async function ship(
  writer: LinkWriter,
  changes: readonly LogChange[],
  to: number,
): Promise<LinkState> {
  await writer.apply(batchOf(changes));
  return await writer.commit(positionAt(to), plainly);
}
