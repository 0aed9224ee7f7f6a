import type pg from 'pg';
import type { TestDatabase } from '../../../support/postgres.ts';

/**
 * Concurrent transactions from a seed, and what the log must say of each: the effects of what was committed, in order, in
 * the words of `told`. Writers touch rows of their own only, so each knows what its transactions do.
 */

export const writtenTables = ['a', 'b', 'c', 'd'] as const;

export async function createWritten(database: TestDatabase): Promise<void> {
  await database.query(`DROP SCHEMA public CASCADE; CREATE SCHEMA public;
    CREATE TABLE a (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
    CREATE TABLE a1 PARTITION OF a FOR VALUES FROM (0) TO (1000000);
    CREATE TABLE a2 PARTITION OF a FOR VALUES FROM (1000000) TO (2000000);
    CREATE TABLE b (id int PRIMARY KEY, v text, big text); ALTER TABLE b ALTER big SET STORAGE EXTERNAL;
    CREATE TABLE c (id int, v text); ALTER TABLE c REPLICA IDENTITY FULL;
    CREATE TABLE d (id int PRIMARY KEY, v text); CREATE TABLE e (id int PRIMARY KEY, v text)`);
}

/** Numbers between 0 and 1, the same for the same seed. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** By 32 bits of its id. */
export type Written = ReadonlyMap<number, readonly string[]>;

export interface WriteOptions {
  readonly seed: number;
  readonly writers: number;
  readonly transactions: number;
}

export async function write(database: TestDatabase, options: WriteOptions): Promise<Written> {
  const all = await Promise.all(
    Array.from({ length: options.writers }, async (_each, index) => {
      const client = await database.connect();
      const writer = new Writer(client, index, options);
      for (let left = options.transactions; left > 0; left -= 1) await writer.transaction();
      await client.end();
      return writer.written;
    }),
  );
  return new Map(all.flatMap((written) => [...written]));
}

interface State {
  /** Values of a and c, and of b without what is large. */
  readonly rows: ReadonlyMap<string, string>;
  readonly effects: readonly string[];
}

type RowTable = 'a' | 'b' | 'c';

class Writer {
  readonly written = new Map<number, readonly string[]>();
  private readonly client: pg.Client;
  private readonly index: number;
  private readonly writers: number;
  private readonly random: () => number;
  private rows = new Map<string, string>();
  private effects: string[] = [];
  private next = 0;

  constructor(client: pg.Client, index: number, { seed, writers }: WriteOptions) {
    this.client = client;
    this.index = index;
    this.writers = writers;
    this.random = randomFrom(seed * 1000 + index);
  }

  async transaction(): Promise<void> {
    const before = this.mark();
    await this.client.query('BEGIN');
    const { rows } = await this.client.query<{ xid: string }>(
      'SELECT (pg_current_xact_id()::text::numeric % 4294967296)::text AS xid',
    );
    await this.work(0);
    const chance = this.random();
    if (chance < 0.15) {
      await this.client.query('ROLLBACK');
      this.backTo(before);
    } else if (chance < 0.25) {
      const name = `w${this.index}_${this.next}`;
      await this.client.query(`PREPARE TRANSACTION '${name}'`);
      await this.client.query(`COMMIT PREPARED '${name}'`);
    } else await this.client.query('COMMIT');
    if (this.effects.length > 0) this.written.set(Number(rows[0]?.xid), this.effects);
    this.effects = [];
  }

  /** Some steps; some of them in savepoints that are kept or given up. */
  private async work(depth: number): Promise<void> {
    for (let steps = Math.ceil(this.random() * 4); steps > 0; steps -= 1) {
      if (depth < 3 && this.random() < 0.3) {
        const before = this.mark();
        await this.client.query(`SAVEPOINT s${depth}`);
        await this.work(depth + 1);
        if (this.random() < 0.5) {
          await this.client.query(`ROLLBACK TO s${depth}`);
          this.backTo(before);
        } else if (this.random() < 0.5) await this.client.query(`RELEASE s${depth}`);
      } else await this.step();
    }
  }

  private async step(): Promise<void> {
    const chance = this.random();
    const table: RowTable = chance < 0.4 ? 'a' : chance < 0.75 ? 'b' : 'c';
    if (this.random() < 0.06) {
      await this.empty();
      return;
    }
    if (this.random() < 0.08) {
      await this.insertMany(500 + Math.floor(this.random() * 3000));
      return;
    }
    const known = [...this.rows.keys()].filter((key) => key.startsWith(table));
    const key = known[Math.floor(this.random() * known.length)];
    if (key === undefined || this.random() < 0.45) {
      await this.insert(table);
      return;
    }
    const id = Number(key.slice(1));
    if (this.random() < 0.3) {
      await this.remove(table, id);
      return;
    }
    if (table === 'a' && this.random() < 0.4) {
      await this.move(id);
      return;
    }
    await this.update(table, id);
  }

  private newId(): number {
    this.next += 1;
    return this.next * this.writers + this.index;
  }

  private async insert(table: RowTable): Promise<void> {
    const id = this.newId();
    const value = `v${this.next}`;
    const large = String(this.next % 10).repeat(2500);
    const values = table === 'b' ? `${id}, '${value}', '${large}'` : `${id}, '${value}'`;
    await this.client.query(`INSERT INTO ${table} VALUES (${values})`);
    this.rows.set(`${table}${id}`, value);
    this.tell(`insert ${leafOf(table, id)} ${id},${value}${table === 'b' ? `,${large}` : ''}`);
  }

  private async insertMany(count: number): Promise<void> {
    const first = this.next + 1;
    this.next += count;
    await this.client.query(
      `INSERT INTO e SELECT i * ${this.writers} + ${this.index}, 'many' FROM generate_series(${first}, ${this.next}) i`,
    );
    for (let each = first; each <= this.next; each += 1)
      this.tell(`insert e ${each * this.writers + this.index},many`);
  }

  private async update(table: RowTable, id: number): Promise<void> {
    this.next += 1;
    const value = `u${this.next}`;
    await this.client.query(`UPDATE ${table} SET v = '${value}' WHERE id = ${id}`);
    const before = this.rows.get(`${table}${id}`) ?? '';
    this.rows.set(`${table}${id}`, value);
    if (table === 'c') this.tell(`update c ${id},${before} -> ${id},${value}`);
    else this.tell(`update ${leafOf(table, id)} ${id},${value}${table === 'b' ? ',~' : ''}`);
  }

  /** Another key, in the same partition or in another one. */
  private async move(id: number): Promise<void> {
    const value = this.rows.get(`a${id}`) ?? '';
    const stays = this.random() < 0.5;
    const to = stays === id < 1_000_000 ? this.newId() : this.newId() + 1_000_000;
    await this.client.query(`UPDATE a SET id = ${to} WHERE id = ${id}`);
    this.rows.delete(`a${id}`);
    this.rows.set(`a${to}`, value);
    if (leafOf('a', id) === leafOf('a', to)) this.tell(`update ${leafOf('a', id)} ${id},- -> ${to},${value}`);
    else this.tell(`delete ${leafOf('a', id)} ${id},-`, `insert ${leafOf('a', to)} ${to},${value}`);
  }

  private async remove(table: RowTable, id: number): Promise<void> {
    await this.client.query(`DELETE FROM ${table} WHERE id = ${id}`);
    const value = this.rows.get(`${table}${id}`) ?? '';
    this.rows.delete(`${table}${id}`);
    this.tell(`delete ${leafOf(table, id)} ${id},${table === 'c' ? value : table === 'b' ? '-,-' : '-'}`);
  }

  /** Everybody's: nobody else looks into it. */
  private async empty(): Promise<void> {
    const id = this.newId();
    await this.client.query(`LOCK TABLE d; TRUNCATE d; INSERT INTO d VALUES (${id}, 'd')`);
    this.tell('truncate d', `insert d ${id},d`);
  }

  private tell(...effects: readonly string[]): void {
    this.effects.push(...effects);
  }

  private mark(): State {
    return { rows: new Map(this.rows), effects: [...this.effects] };
  }

  private backTo({ rows, effects }: State): void {
    this.rows = new Map(rows);
    this.effects = [...effects];
  }
}

function leafOf(table: RowTable, id: number): string {
  if (table !== 'a') return table;
  return id < 1_000_000 ? 'a1' : 'a2';
}
