import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { PlannedTransaction, Step } from './transactions.ts';

/** What became of the transactions of a writer. */
export interface Written {
  committed: number;
  /** As planned. */
  rolledBack: number;
  /** By the server: deadlocks, unique values, time-outs. */
  refused: number;
  /** The server went away: whether they were committed nobody was told. */
  unknown: number;
}

export interface WriterOptions {
  readonly url: string;
  readonly writer: number;
  readonly transactions: Iterator<PlannedTransaction>;
  /** Whether a commit waits for the source's disk. */
  readonly synchronous: boolean;
  /** How long to wait before every transaction, besides what its plan says. */
  readonly paceMs: number;
}

/** What the server may answer to a transaction among others: the rest is a mistake in the workload. */
const expected = /^(40|23|55P03|57P0|08|25P02)/;
/** The transaction to be ended was never prepared: the server was killed before. */
const noSuchTransaction = '42704';

/** One session that writes to the source and comes back whenever the server does. */
export class Writer {
  readonly written: Written = { committed: 0, rolledBack: 0, refused: 0, unknown: 0 };
  private readonly options: WriterOptions;
  private client: pg.Client | null = null;
  /** The second half of a prepared transaction that is still to be said. */
  private owed: string | null = null;
  private going = true;

  constructor(options: WriterOptions) {
    this.options = options;
  }

  async run(): Promise<void> {
    while (this.going) {
      const { value } = this.options.transactions.next() as IteratorYieldResult<PlannedTransaction>;
      await this.attempt(value);
      await delay(value.restMs + this.options.paceMs);
    }
    await this.settle();
  }

  /** After the transaction that is under way. */
  stop(): void {
    this.going = false;
  }

  private async attempt(planned: PlannedTransaction): Promise<void> {
    let ending = false;
    try {
      const client = await this.connected();
      await client.query('BEGIN');
      await this.write(client, planned);
      ending = true;
      await this.end(client, planned);
    } catch (error) {
      await this.failed(error, ending);
    }
  }

  private async write(client: pg.Client, planned: PlannedTransaction): Promise<void> {
    const { writer } = this.options;
    await client.query(`UPDATE lab.counter_a SET n = n + 1 WHERE writer = ${writer}`);
    for (const step of planned.steps) await perform(client, step);
    await client.query(
      `INSERT INTO lab.ticket SELECT writer, n, 'nth ${planned.nth}' FROM lab.counter_a WHERE writer = ${writer};
       UPDATE lab.counter_b SET n = n + 1 WHERE writer = ${writer}`,
    );
    if (planned.takesClock)
      await client.query(
        `WITH now AS (UPDATE lab.clock SET n = n + 1 RETURNING n) INSERT INTO lab.tick SELECT n, ${writer} FROM now`,
      );
  }

  private async end(client: pg.Client, planned: PlannedTransaction): Promise<void> {
    switch (planned.ending) {
      case 'commit':
        await client.query('COMMIT');
        this.written.committed += 1;
        return;
      case 'rollback':
        await client.query('ROLLBACK');
        this.written.rolledBack += 1;
        return;
      case 'commitPrepared':
      case 'rollbackPrepared':
        await this.endInTwo(client, planned);
    }
  }

  private async endInTwo(client: pg.Client, { ending, preparedMs, nth }: PlannedTransaction): Promise<void> {
    const name = `'${new URL(this.options.url).pathname.slice(1)}_${this.options.writer}_${nth}'`;
    const kept = ending === 'commitPrepared';
    this.owed = `${kept ? 'COMMIT' : 'ROLLBACK'} PREPARED ${name}`;
    await client.query(`PREPARE TRANSACTION ${name}`);
    await delay(preparedMs);
    await this.settleWith(client);
    this.written[kept ? 'committed' : 'rolledBack'] += 1;
  }

  private async settleWith(client: pg.Client): Promise<void> {
    if (this.owed === null) return;
    await client.query(this.owed).catch((error: unknown) => {
      if (codeOf(error) !== noSuchTransaction) throw error as Error;
    });
    this.owed = null;
  }

  /** Nothing of this writer stays open or prepared, whatever the server went through. */
  private async settle(): Promise<void> {
    while (this.owed !== null) {
      try {
        await this.settleWith(await this.connected());
      } catch (error) {
        await this.failed(error, true);
      }
    }
    await this.client?.end().catch(() => undefined);
  }

  private async failed(error: unknown, ending: boolean): Promise<void> {
    const code = codeOf(error);
    if (code !== null && !expected.test(code)) {
      throw new Error(`Writer ${this.options.writer}: ${String(error)} (${code})`, { cause: error });
    }
    if (code !== null && !/^(57P0|08)/.test(code)) {
      this.written.refused += 1;
      // PREPARE may be what was refused; then nothing is owed, and saying it finds nothing.
      await this.client?.query('ROLLBACK').catch(() => undefined);
      return;
    }
    this.written[ending ? 'unknown' : 'refused'] += 1;
    this.client = null;
    await delay(100);
  }

  private async connected(): Promise<pg.Client> {
    if (this.client !== null) return this.client;
    const { url, writer, synchronous } = this.options;
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
    client.on('error', () => undefined);
    await client.connect();
    await client.query(
      `SET lab.writer = ${writer}; SET lock_timeout = '2s'; SET deadlock_timeout = '200ms'; SET client_min_messages = error;
       SET synchronous_commit = ${synchronous ? 'on' : 'off'}; SET application_name = 'lab writer ${writer}'`,
    );
    this.client = client;
    await this.settleWith(client);
    return client;
  }
}

async function perform(client: pg.Client, step: Step): Promise<void> {
  switch (step.kind) {
    case 'sql':
      await client.query(step.text);
      return;
    case 'savepoint':
      await client.query(`SAVEPOINT ${step.name}`);
      return;
    case 'rollbackTo':
      await client.query(`ROLLBACK TO ${step.name}`);
      return;
    case 'release':
      await client.query(`RELEASE ${step.name}`);
      return;
    case 'wait':
      await delay(step.ms);
  }
}

/** Null: not an answer of the server, but a connection that broke. */
function codeOf(error: unknown): string | null {
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : null;
}
