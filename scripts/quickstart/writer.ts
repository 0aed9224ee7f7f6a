import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { table } from './scene.ts';

export interface Written {
  readonly transactions: number;
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
}

/** An application that goes on writing on the source whatever is copied meanwhile. */
export interface Writer {
  readonly written: Written;
  /** Adds a partition for the next trading day; rows go there from then on. Answers its name. */
  openNextDay(): Promise<string>;
  /** The last transaction is the one that `lastChange` finds. Idempotent. Rejects when a write failed. */
  stop(): Promise<void>;
}

/** Days and symbols of the example data; the day after is a Monday. */
const days = ['2023-01-09', '2023-01-13', '2023-01-16', '2023-01-20'];
const nextDay = '2023-01-23';
const symbols = 500;
const pauseMs = 20;

const [insert, update, remove] = [
  `INSERT INTO ${table}
     SELECT 'n' || $1::int, $2::date + minute * interval '1 minute', 10, 10, 11, 9, 10.5, $3::int, 10.5 * $3::int
       FROM generate_series(570, 579) AS minute`,
  `UPDATE ${table} SET price = price + 0.01, qty = qty + 1 WHERE sym = $1 AND ts >= $2::date AND ts < $2::date + time '09:50'`,
  `DELETE FROM ${table} WHERE sym = $1 AND ts = $2::date + time '14:00' + $3::int * interval '1 minute'`,
];

/** The clock of the target decides what is seen there. */
export const lastChange = `SELECT 1 FROM ${table} WHERE sym = 'last'`;

export async function startWriter(url: string): Promise<Writer> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const written = { transactions: 0, inserted: 0, updated: 0, deleted: 0 };
  let day = days[0] ?? '';
  let stopping = false;
  const write = async (n: number): Promise<void> => {
    const old = days[n % days.length];
    const sym = String((n % symbols) + 1).padStart(6, '0');
    await client.query('BEGIN');
    const inserted = await client.query(insert, [n, day, n % 1_000]);
    const updated = await client.query(update, [sym, old]);
    const deleted = await client.query(remove, [sym, old, n % 60]);
    await client.query('COMMIT');
    written.transactions += 1;
    written.inserted += inserted.rowCount ?? 0;
    written.updated += updated.rowCount ?? 0;
    written.deleted += deleted.rowCount ?? 0;
  };
  const work = async (): Promise<void> => {
    try {
      for (let n = 1; !stopping; n += 1) {
        await write(n);
        await delay(pauseMs);
      }
      await client.query(`INSERT INTO ${table} VALUES ('last', $1, 1, 1, 1, 1, 1, 1, 1)`, [day]);
      written.transactions += 1;
      written.inserted += 1;
    } finally {
      await client.end();
    }
  };
  const working = work();
  working.catch(() => undefined);
  return {
    written,
    openNextDay: async () => {
      const partition = `${table}_${nextDay.replaceAll('-', '')}`;
      await onOwnSession(
        url,
        `CREATE TABLE ${partition} PARTITION OF ${table} FOR VALUES FROM ('${nextDay}') TO ('${nextDay}'::date + 1)`,
      );
      day = nextDay;
      return partition;
    },
    stop: async () => {
      stopping = true;
      await working;
    },
  };
}

/** The writer's own session is in the middle of a transaction. */
async function onOwnSession(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
