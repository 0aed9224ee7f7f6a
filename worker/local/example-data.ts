import pg from 'pg';

/**
 * Minute bars of a stock exchange, in the shape that the seed of asynchronous replication uses: every symbol, every
 * minute of two sessions (9:30 to 11:30 and 13:00 to 15:00, both ends included), every trading day a partition.
 */
export interface ExampleDataOptions {
  /** Default 500. */
  readonly symbols?: number;
  /** Trading days, Monday to Friday from 9 January 2023 on. Default 10. */
  readonly days?: number;
}

export interface ExampleData {
  readonly table: 'public.trades';
  readonly rows: number;
  readonly partitions: number;
}

export const minutesPerDay = 242;

const createTable = `CREATE TABLE public.trades (
  sym text NOT NULL,
  ts timestamp NOT NULL,
  pre_close numeric(10,2) NOT NULL,
  open numeric(10,2) NOT NULL,
  high numeric(10,2) NOT NULL,
  low numeric(10,2) NOT NULL,
  price numeric(10,2) NOT NULL,
  qty integer NOT NULL,
  amount numeric(18,2) NOT NULL,
  PRIMARY KEY (sym, ts)
) PARTITION BY RANGE (ts)`;

/**
 * $1 symbols, $2 the day. Hashes of (symbol, minute) take the place of a random generator: the same rows on every
 * machine, in any order, by any number of sessions. Amounts are made of whole cents.
 */
const insertDay = `INSERT INTO public.trades
  SELECT lpad(symbol::text, 6, '0'), $2::date + minute,
         cents * 0.01, (cents + a) * 0.01, (cents + greatest(a, b, 0) + c) * 0.01, (cents + least(a, b, 0) - c) * 0.01,
         (cents + b) * 0.01, qty, (cents + b) * qty * 0.01
    FROM (
      SELECT symbol, minute, 1000 + (hashint8extended(symbol, 7) & 8191) AS cents,
             (hash & 127) - 64 AS a, ((hash >> 7) & 127) - 64 AS b, (hash >> 14) & 31 AS c,
             100 + ((hash >> 20) & 1023)::integer AS qty
        FROM generate_series(1, $1::bigint) AS symbol
       CROSS JOIN (SELECT time '09:30' + n * interval '1 minute' AS minute FROM generate_series(0, 120) AS n
                   UNION ALL
                   SELECT time '13:00' + n * interval '1 minute' FROM generate_series(0, 120) AS n) AS minutes
       CROSS JOIN LATERAL (SELECT hashint8extended(
         symbol * 86400 + extract(epoch FROM minute)::bigint, ($2::date - date '2000-01-01')::bigint) AS hash) AS random
       ORDER BY symbol, minute
    ) AS drawn`;

/** Makes public.trades in the database that `url` names. 1,210,000 rows by default, in a few seconds. */
export async function createExampleData(url: string, options: ExampleDataOptions = {}): Promise<ExampleData> {
  const symbols = options.symbols ?? 500;
  const days = tradingDays(options.days ?? 10);
  const pool = new pg.Pool({ connectionString: url, max: 2 });
  try {
    await pool.query(createTable);
    await Promise.all(days.map((day) => fillDay(pool, day, symbols)));
    await pool.query('ANALYZE public.trades');
  } finally {
    await pool.end();
  }
  return { table: 'public.trades', rows: symbols * minutesPerDay * days.length, partitions: days.length };
}

async function fillDay(pool: pg.Pool, day: string, symbols: number): Promise<void> {
  const partition = `public.trades_${day.replaceAll('-', '')}`;
  await pool.query(
    `CREATE TABLE ${partition} PARTITION OF public.trades FOR VALUES FROM ('${day}') TO ('${nextDay(day)}')`,
  );
  await pool.query(insertDay, [symbols, day]);
}

function tradingDays(count: number): string[] {
  const days: string[] = [];
  for (let day = '2023-01-09'; days.length < count; day = nextDay(day)) {
    const weekday = new Date(`${day}T00:00:00Z`).getUTCDay();
    if (weekday !== 0 && weekday !== 6) days.push(day);
  }
  return days;
}

function nextDay(day: string): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) + 86_400_000).toISOString().slice(0, 10);
}
