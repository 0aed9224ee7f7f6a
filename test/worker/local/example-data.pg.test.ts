import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createExampleData, minutesPerDay } from '../../../worker/local/example-data.ts';
import { createDatabasePair, type DatabasePair } from '../../support/postgres.ts';

const digest = 'SELECT sum(hashtextextended(t::text, 0)::numeric)::text AS digest FROM public.trades t';

describe('the example data', () => {
  let pair: DatabasePair;

  beforeEach(async () => {
    pair = await createDatabasePair();
  });

  afterEach(async () => {
    await pair.drop();
  });

  it('hold every minute of both sessions for every symbol and trading day, one partition a day', async () => {
    const made = await createExampleData(pair.source.url, { symbols: 3, days: 7 });
    expect(made).toEqual({ table: 'public.trades', rows: 3 * minutesPerDay * 7, partitions: 7 });
    const partitions = await pair.source.query<{ partition: string; rows: number; from: string; to: string }>(
      `SELECT tableoid::regclass::text AS partition, count(*)::integer AS rows,
              min(ts::time)::text AS from, max(ts::time)::text AS to
         FROM public.trades GROUP BY tableoid ORDER BY 1`,
    );
    expect(partitions.map(({ partition }) => partition)).toEqual([
      'trades_20230109',
      'trades_20230110',
      'trades_20230111',
      'trades_20230112',
      'trades_20230113',
      'trades_20230116',
      'trades_20230117',
    ]);
    for (const { rows, from, to } of partitions) {
      expect({ rows, from, to }).toEqual({ rows: 3 * minutesPerDay, from: '09:30:00', to: '15:00:00' });
    }
  });

  it('have nine columns, and bars whose high and low enclose the other prices', async () => {
    await createExampleData(pair.source.url, { symbols: 5, days: 1 });
    const columns = await pair.source.query(
      `SELECT attname FROM pg_attribute WHERE attrelid = 'public.trades'::regclass AND attnum > 0`,
    );
    const [odd] = await pair.source.query<{ rows: number }>(
      `SELECT count(*)::integer AS rows FROM public.trades
        WHERE high < greatest(open, price, pre_close) OR low > least(open, price, pre_close) OR low <= 0
           OR amount <> price * qty`,
    );
    expect(columns).toHaveLength(9);
    expect(odd?.rows).toBe(0);
  });

  it('are the same on every server', async () => {
    const options = { symbols: 4, days: 2 };
    await Promise.all([
      createExampleData(pair.source.url, options),
      createExampleData(pair.target.url, options),
    ]);
    expect(await pair.source.query(digest)).toEqual(await pair.target.query(digest));
    await pair.target.query(
      'UPDATE public.trades SET qty = qty + 1 WHERE ctid = (SELECT min(ctid) FROM public.trades)',
    );
    expect(await pair.source.query(digest)).not.toEqual(await pair.target.query(digest));
  });
});
