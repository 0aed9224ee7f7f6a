import pg from 'pg';
import { SynclineError } from '../../definitions/errors.ts';
import { quoteLiteral } from './identifiers.ts';
import type { PostgresSettings } from './settings.ts';
import { type ErrorPlace, translateError } from './sqlstate.ts';

/** One server session, taken from the pool for one piece of work. Errors come out as SynclineError. */
export interface Session {
  /** Backend process id on the server. */
  readonly pid: number;
  /** The driver's client, for COPY and cursors only. */
  readonly client: pg.Client;
  readonly place: ErrorPlace;
  query<Row = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<Row[]>;
}

/** A session that outlives one call: whoever opened it gives it back. */
export interface OpenSession extends Session {
  /** Back to the pool; only when no transaction is open. */
  release(): void;
  /** Cancels on the server what runs, then closes the socket. Idempotent, never throws. */
  destroy(): Promise<void>;
}

/**
 * Settings that every session needs, whatever the user's server or role says: their time-outs would end a long load,
 * their search_path could redirect a name, and text output must not depend on the session.
 * `client_connection_check_interval` and the keep-alives make the server notice a dead worker by itself.
 */
const sessionSettings: Readonly<Record<string, string>> = {
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  idle_session_timeout: '0',
  transaction_timeout: '0',
  default_tablespace: '',
  default_table_access_method: 'heap',
  search_path: 'pg_catalog',
  row_security: 'off',
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  bytea_output: 'hex',
  extra_float_digits: '3',
  lc_monetary: 'C',
  xmloption: 'content',
  default_transaction_isolation: 'read committed',
  default_transaction_read_only: 'off',
  // Cannot be changed any more once a temporary table has been used in the session.
  temp_buffers: '16MB',
  client_connection_check_interval: '2s',
  tcp_keepalives_idle: '30',
  tcp_keepalives_interval: '10',
  tcp_keepalives_count: '3',
};

/** application_name holds at most 63 bytes; the job is what `endSessions` looks for, so it comes first. */
export function applicationName(label: string): string {
  return `syncline/${label}`.slice(0, 63);
}

/** set_config only for settings this server knows (14 to 18 differ), in one round trip per physical session. */
const setupStatement = `SELECT pg_catalog.pg_backend_pid() AS pid,
    pg_catalog.count(pg_catalog.set_config(wanted.name, wanted.value, false))
  FROM (VALUES ${Object.entries(sessionSettings)
    .map(([name, value]) => `(${quoteLiteral(name)}, ${quoteLiteral(value)})`)
    .join(', ')}) AS wanted(name, value)
  JOIN pg_catalog.pg_settings known ON pg_catalog.lower(known.name) = pg_catalog.lower(wanted.name)`;

interface Prepared {
  readonly pid: number;
  label: string;
}

/** The sessions of one store in one worker: at most `connections`, idle ones closed after a few seconds. */
export class Sessions {
  readonly store: string;
  private readonly pool: pg.Pool;
  private readonly settings: PostgresSettings;
  private readonly prepared = new WeakMap<pg.PoolClient, Prepared>();
  private readonly longWork: Permits;
  private readonly writing: Permits;
  /** Backends of our own idle sessions; of these, those that `endSessions` ended and the pool has not noticed yet. */
  private readonly idle = new Set<number>();
  private readonly ended = new Set<number>();

  constructor(store: string, settings: PostgresSettings) {
    this.store = store;
    this.settings = settings;
    const long = Math.max(2, settings.connections - 2);
    this.longWork = new Permits(long);
    this.writing = new Permits(long - 1);
    // Opening has a time limit; waiting for one of our own sessions to become free has none.
    class Client extends pg.Client {
      constructor(config?: pg.ClientConfig) {
        super({ ...config, connectionTimeoutMillis: settings.connectTimeoutMs });
        // For its whole life: the pool listens only while a session is idle, and an error that nobody listens for
        // would end the worker. Whatever runs on the session fails with it all the same.
        this.on('error', () => undefined);
      }
    }
    this.pool = new pg.Pool({
      Client,
      connectionString: settings.url,
      max: settings.connections,
      connectionTimeoutMillis: 0,
      idleTimeoutMillis: 3_000,
      keepAlive: true,
      allowExitOnIdle: true,
      application_name: applicationName('idle'),
    });
    // An idle session that breaks is simply gone; the next use opens another.
    this.pool.on('error', () => undefined);
    this.pool.on('remove', (client) => {
      const pid = this.prepared.get(client)?.pid;
      if (pid === undefined) return;
      this.idle.delete(pid);
      this.ended.delete(pid);
    });
  }

  /** `label` is `<job>/<chunk>` or a word; it shows in pg_stat_activity as application_name. */
  async use<T>(label: string, work: (session: Session) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const session = await this.take(label, `working on ${label}`);
    const onAbort = (): void => void session.destroy();
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      signal?.throwIfAborted();
      const result = await work(session);
      session.release();
      return result;
    } catch (error) {
      await session.destroy();
      throw error;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /**
   * A session for as long as a unit takes. Two of `connections` are kept for short work (`use`): a worker full of long
   * loads must still list chunks, write dead letters and clean up.
   */
  async open(label: string, doing: string): Promise<OpenSession> {
    return await permitted(this.longWork, () => this.take(label, doing));
  }

  /** The same, unless it had to be waited for: for what is better off with one session more, and does without. */
  async openIfFree(label: string, doing: string): Promise<OpenSession | null> {
    return this.longWork.isFree ? await this.open(label, doing) : null;
  }

  /**
   * The same for a writer, who waits for its reader while it holds the session: one is always left for readers, or a
   * store that is source and target at once would wait for itself for ever.
   */
  async openForWriting(label: string, doing: string): Promise<OpenSession> {
    return await permitted(this.writing, () => this.open(label, doing));
  }

  /**
   * A session that speaks the replication protocol, besides `connections`: it is one for each link, and must not wait for
   * loads. Whoever opens it ends it.
   */
  async openReplication(label: string, doing: string): Promise<pg.Client> {
    const config = {
      connectionString: this.settings.url,
      connectionTimeoutMillis: this.settings.connectTimeoutMs,
      keepAlive: true,
      replication: 'database',
    };
    const client = new pg.Client(config);
    client.on('error', () => undefined);
    try {
      await client.connect();
      const name = `SET application_name = ${quoteLiteral(applicationName(label))}`;
      await client.query(`${name}; ${setupStatement}; SET wal_sender_timeout = '60s'`);
      return client;
    } catch (error) {
      await client.end().catch(() => undefined);
      throw translateError(error, { store: this.store, doing });
    }
  }

  private async take(label: string, doing: string): Promise<OpenSession> {
    const place: ErrorPlace = { store: this.store, doing };
    const client = await this.connect(place);
    try {
      const pid = await this.prepare(client, label);
      this.idle.delete(pid);
      return this.wrap(client, pid, place);
    } catch (error) {
      client.release(true);
      throw translateError(error, place);
    }
  }

  private async connect(place: ErrorPlace): Promise<pg.PoolClient> {
    try {
      for (;;) {
        const client = await this.pool.connect();
        const pid = this.prepared.get(client)?.pid;
        if (pid === undefined || !this.ended.has(pid)) return client;
        client.release(true);
      }
    } catch (error) {
      throw translateError(error, place);
    }
  }

  private async prepare(client: pg.PoolClient, label: string): Promise<number> {
    const known = this.prepared.get(client);
    if (known?.label === label) return known.pid;
    const name = `SET application_name = ${quoteLiteral(applicationName(label))}`;
    if (known !== undefined) {
      await client.query(name);
      known.label = label;
      return known.pid;
    }
    const results = (await client.query(`${name}; ${setupStatement}`)) as unknown as pg.QueryResult<{
      pid: number;
    }>[];
    const pid = results[1]?.rows[0]?.pid;
    if (pid === undefined) throw new SynclineError('internal.unexpected', 'The server gave no backend id.');
    this.prepared.set(client, { pid, label });
    return pid;
  }

  /** Asks the server to end sessions of a job; used by `remove` and by a newer attempt. Answers how many. */
  async endSessions(prefix: string): Promise<number> {
    return await this.use('control', async (session) => {
      const rows = await session.query<{ pid: number }>(
        `SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE pid <> pg_backend_pid() AND datname = current_database()
            AND (application_name = $1 OR starts_with(application_name, $1 || '/'))`,
        [applicationName(prefix)],
      );
      for (const { pid } of rows) if (this.idle.has(pid)) this.ended.add(pid);
      return rows.length;
    });
  }

  async close(): Promise<void> {
    if (!this.pool.ended) await this.pool.end();
  }

  private wrap(client: pg.PoolClient, pid: number, place: ErrorPlace): OpenSession {
    let open = true;
    const finish = (broken: boolean): void => {
      if (!open) return;
      open = false;
      if (!broken) this.idle.add(pid);
      client.release(broken);
    };
    return {
      pid,
      client,
      place,
      query: async <Row>(text: string, values?: readonly unknown[]): Promise<Row[]> => {
        try {
          const result = await client.query(text, values === undefined ? undefined : [...values]);
          return result.rows as Row[];
        } catch (error) {
          throw translateError(error, place);
        }
      },
      release: () => finish(false),
      destroy: async () => {
        if (!open) return;
        const busy = !isIdle(client);
        finish(true);
        if (busy) await this.cancel(pid);
      },
    };
  }

  /** Best effort: the socket is closed already, and the server checks for that every 2 s (14 and later). */
  private async cancel(pid: number): Promise<void> {
    const client = new pg.Client({
      connectionString: this.settings.url,
      connectionTimeoutMillis: 2_000,
      application_name: applicationName('cancel'),
    });
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.query('SELECT pg_catalog.pg_terminate_backend($1)', [pid]);
    } catch {
      return;
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}

function isIdle(client: pg.PoolClient): boolean {
  const state = client as unknown as { readonly readyForQuery?: boolean };
  return state.readyForQuery === true;
}

/** Opens under a permit, which goes back with the session, however it ends. */
async function permitted(permits: Permits, open: () => Promise<OpenSession>): Promise<OpenSession> {
  await permits.take();
  let held = true;
  const giveBack = (): void => {
    if (held) permits.give();
    held = false;
  };
  try {
    const session = await open();
    return {
      ...session,
      release: () => {
        session.release();
        giveBack();
      },
      destroy: async () => {
        giveBack();
        await session.destroy();
      },
    };
  } catch (error) {
    giveBack();
    throw error;
  }
}

/** Counted permits, given in the order of asking. */
class Permits {
  private free: number;
  private readonly waiting: (() => void)[] = [];

  constructor(count: number) {
    this.free = count;
  }

  get isFree(): boolean {
    return this.free > 0;
  }

  async take(): Promise<void> {
    if (this.free > 0) this.free -= 1;
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  give(): void {
    const next = this.waiting.shift();
    if (next === undefined) this.free += 1;
    else next();
  }
}
