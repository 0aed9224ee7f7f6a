import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { rounded } from '../figures.ts';
import { resetPeak, usageOf } from '../process-usage.ts';
import type { Say, Side } from '../stage.ts';
import { type Applying, nextMark } from './apply.ts';
import { writeMark } from './backlog.ts';
import { type Cost, costBetween, costFigures, costNow, costText } from './cost.ts';
import { contentOf, lagTable, tidy } from './tables.ts';
import { type Follower, untilMarked } from './follower.ts';

export const transactionsPerSecond = 2_000;

export interface Lag {
  readonly rows: number;
  /** What the generator came to; less than asked for means that the machine was too slow for it. */
  readonly ratePerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** How seldom the target was looked at: this much may be the bench's own. */
  readonly longestLookMs: number;
  readonly cost: Cost;
  readonly peakMB: number | null;
}

/**
 * Transactions of one row at a steady rate. Each row carries the source's clock, and is seen on the target by a reader
 * that asks again and again for what is new: the lag of a row is from its writing to its being seen, by one machine's clock.
 */
export async function measureLag(
  { stage, worker, followers }: Applying,
  seconds: number,
  say: Say,
): Promise<ReadonlyMap<string, Lag>> {
  const lags = new Map<string, Lag>();
  for (const follower of followers) {
    await tidy(stage.source);
    await tidy(follower.target);
    await follower.resume();
    // What the others have written meanwhile does not count.
    await passed(stage, follower);
    const from = await lastRow(follower.target);
    resetPeak(worker.pid);
    const before = costNow(stage, worker.pid);
    const reader = startReader(follower.target, from);
    const written = await writeSteadily(stage.source, { from: from + 1, seconds });
    await passed(stage, follower);
    const seen = await reader.stop();
    const cost = costBetween(before, costNow(stage, worker.pid));
    const peak = follower.name === 'syncline' ? usageOf(worker.pid)?.peakBytes : undefined;
    await follower.stop();
    const [expected, found] = await Promise.all([
      contentOf(stage.source, lagTable),
      contentOf(follower.target, lagTable),
    ]);
    if (found !== expected || seen.lagsMs.length !== written.rows)
      throw new Error(`${follower.name} did not bring every row of the steady load.`);
    const lag: Lag = {
      rows: written.rows,
      ratePerSecond: rounded(written.rows / written.seconds, 1),
      ...percentiles(seen.lagsMs),
      longestLookMs: rounded(seen.longestLookMs, 1),
      cost,
      peakMB: peak === undefined ? null : rounded(peak / 1e6, 1),
    };
    lags.set(follower.name, lag);
    say(
      `  lag  ${follower.name.padEnd(10)} p50 ${lag.p50Ms.toFixed(0)}, p99 ${lag.p99Ms.toFixed(0)}, max ${lag.maxMs.toFixed(0)} ms at ${lag.ratePerSecond.toFixed(0)} transactions/s  (${costText(cost)})`,
    );
  }
  return lags;
}

async function passed(stage: Applying['stage'], follower: Follower): Promise<void> {
  const mark = await nextMark(stage);
  await writeMark(stage.source, mark);
  await untilMarked(follower.target, mark);
}

async function lastRow(side: Side): Promise<number> {
  const rows = await side.query<{ last: string }>(`SELECT coalesce(max(id), 0) AS last FROM ${lagTable}`);
  return Number(rows[0]?.last ?? 0);
}

/** On the server, in one session: it costs next to nothing, and the order of the rows is that of their commits. */
async function writeSteadily(
  { url }: Side,
  { from, seconds }: { readonly from: number; readonly seconds: number },
): Promise<{ readonly rows: number; readonly seconds: number }> {
  const rows = seconds * transactionsPerSecond;
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query('SET synchronous_commit = off');
    const startedAt = performance.now();
    await client.query(`DO $$ DECLARE started timestamptz := clock_timestamp(); ahead float8; BEGIN
      FOR i IN 0..${String(rows - 1)} LOOP
        INSERT INTO ${lagTable} VALUES (${String(from)} + i, clock_timestamp());
        COMMIT;
        IF i % 10 = 9 THEN
          ahead := (i + 1)::float8 / ${String(transactionsPerSecond)} - extract(epoch FROM clock_timestamp() - started);
          IF ahead > 0 THEN PERFORM pg_sleep(ahead); END IF;
        END IF;
      END LOOP;
    END $$`);
    return { rows, seconds: (performance.now() - startedAt) / 1_000 };
  } finally {
    await client.end();
  }
}

interface Seen {
  readonly lagsMs: readonly number[];
  readonly longestLookMs: number;
}

const lookEveryMs = 10;

function startReader({ url }: Side, from: number): { stop(): Promise<Seen> } {
  let over = false;
  const read = async (): Promise<Seen> => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const lagsMs: number[] = [];
    let [last, longestLookMs] = [from, 0];
    try {
      for (let lookedAt = performance.now(), final = false; !final;) {
        final = over;
        const { rows } = await client.query<{ id: string; lag: number }>(
          `SELECT id, (extract(epoch FROM statement_timestamp() - at) * 1000)::float8 AS lag FROM ${lagTable} WHERE id > $1 ORDER BY id`,
          [last],
        );
        for (const { lag } of rows) lagsMs.push(lag);
        last = Number(rows.at(-1)?.id ?? last);
        longestLookMs = Math.max(longestLookMs, performance.now() - lookedAt);
        lookedAt = performance.now();
        await delay(lookEveryMs);
      }
      return { lagsMs, longestLookMs };
    } finally {
      await client.end();
    }
  };
  const reading = read();
  reading.catch(() => undefined);
  return {
    stop: async () => {
      over = true;
      return await reading;
    },
  };
}

function percentiles(lagsMs: readonly number[]): Pick<Lag, 'p50Ms' | 'p99Ms' | 'maxMs'> {
  const sorted = [...lagsMs].sort((a, b) => a - b);
  const at = (share: number): number =>
    rounded(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0, 1);
  return { p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
}

export function lagFigures(lags: ReadonlyMap<string, Lag>): object {
  return Object.fromEntries(
    [...lags].map(([name, { cost, ...lag }]) => [name, { ...lag, cpuSeconds: costFigures([cost]) }]),
  );
}
