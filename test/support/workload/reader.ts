import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { atOneInstant, gather, judge, type Violation } from './invariants.ts';
import { workloadTables } from './tables.ts';

/** Whether everything must hold now; asked in the snapshot of the look itself. Null: nothing is to be seen yet. */
export type IsConsistent = (client: pg.Client) => Promise<boolean>;

export interface ReaderOptions {
  readonly url: string;
  readonly isConsistent: IsConsistent;
  readonly everyMs: number;
  /** Told of each violation when it is seen. */
  readonly onViolation?: (violation: Violation) => void;
}

export interface Sightings {
  /** Looks at an instant at which everything had to hold. */
  readonly looks: number;
  /** Looks before that, and while the server was away. */
  readonly early: number;
  readonly violations: readonly Violation[];
}

/** A user of the copy who looks again and again: at the books each time, at the rows of one table in turn. */
export class Reader {
  private readonly options: ReaderOptions;
  private readonly found = { looks: 0, early: 0, violations: [] as Violation[] };
  private readonly turns = workloadTables.filter(({ tallied }) => tallied === 'always');
  private client: pg.Client | null = null;
  private going = true;
  private readonly reading: Promise<void>;

  constructor(options: ReaderOptions) {
    this.options = options;
    this.reading = this.readOn();
    this.reading.catch(() => undefined);
  }

  get sightings(): Sightings {
    return this.found;
  }

  /** Rejects when a look failed for another reason than a server that is away. */
  async stop(): Promise<Sightings> {
    this.going = false;
    await this.reading;
    await this.client?.end().catch(() => undefined);
    return this.found;
  }

  private async readOn(): Promise<void> {
    for (let turn = 0; this.going; turn += 1) {
      const table = this.turns[turn % this.turns.length];
      await this.look(table === undefined ? [] : [table.name]).catch((error: unknown) => this.failed(error));
      await delay(this.options.everyMs);
    }
  }

  private async look(tables: readonly string[]): Promise<void> {
    const client = await this.connected();
    const evidence = await atOneInstant(client, async () =>
      (await this.options.isConsistent(client)) ? await gather(client, tables) : null,
    );
    if (evidence === null) {
      this.found.early += 1;
      return;
    }
    this.found.looks += 1;
    const violations = judge(evidence);
    this.found.violations.push(...violations);
    for (const violation of violations) this.options.onViolation?.(violation);
  }

  /** Tables that are not there yet, a table that somebody changes, a server that is away: looked at again. */
  private async failed(error: unknown): Promise<void> {
    const code = (error as { code?: unknown }).code;
    const isMistake = typeof code === 'string' && /^(42(?!P01)|22|XX)/.test(code);
    if (isMistake) throw error as Error;
    this.found.early += 1;
    await this.client?.end().catch(() => undefined);
    this.client = null;
  }

  private async connected(): Promise<pg.Client> {
    if (this.client !== null) return this.client;
    const client = new pg.Client({ connectionString: this.options.url, connectionTimeoutMillis: 5_000 });
    client.on('error', () => undefined);
    await client.connect();
    await client.query(`SET application_name = 'lab reader'; SET lock_timeout = '5s'`);
    this.client = client;
    return client;
  }
}
