import { afterAll, beforeAll } from 'vitest';
import { Sessions } from '../../../../stores/postgres/connection.ts';
import { type PostgresServer, startPostgres } from '../../../../worker/local/postgres.ts';
import { createDatabaseOn, type TestDatabase } from '../../../support/postgres.ts';

/** A server of one test alone, to be damaged, crashed or set up oddly; only while its tests run. */
export interface OwnServer {
  readonly server: PostgresServer;
  readonly database: TestDatabase;
  readonly sessions: Sessions;
}

export interface OwnServerOptions {
  readonly version: 18 | 15;
  readonly settings?: Readonly<Record<string, string>>;
  /** The tables of its one database. */
  readonly tables: string;
}

/** Starts it before the tests of the `describe` around, and stops it after them. */
export function ownServer(options: OwnServerOptions): () => OwnServer {
  let own: OwnServer | null = null;
  beforeAll(async () => {
    const { version, settings = {} } = options;
    const server = await startPostgres({ version, settings });
    const database = await createDatabaseOn(server.url);
    await database.query(options.tables);
    const sessions = new Sessions('source', {
      kind: 'postgres',
      url: database.url,
      connections: 6,
      connectTimeoutMs: 10_000,
    });
    own = { server, database, sessions };
  });
  afterAll(async () => {
    await own?.sessions.close();
    await own?.database.drop();
    await own?.server.stop('immediate');
  });
  return () => {
    if (own === null) throw new Error('The server is not there outside of a test.');
    return own;
  };
}
