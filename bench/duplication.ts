import { setTimeout as delay } from 'node:timers/promises';
import {
  appliedFigures,
  appliedPeakMB,
  type Applied,
  applyBacklogs,
  type Applying,
  throughputRatio,
} from './duplication/apply.ts';
import type { Follower } from './duplication/follower.ts';
import { type Lag, lagFigures, measureLag, transactionsPerSecond } from './duplication/lag.ts';
import { chosenOf, followerNames, partNames } from './duplication/names.ts';
import { nativeFollower } from './duplication/native.ts';
import { hasPglogical, pglogicalFollower } from './duplication/pglogical.ts';
import { reloadAfterKill } from './duplication/reload.ts';
import { synclineFollower } from './duplication/syncline.ts';
import {
  createTables,
  fillTables,
  followedTables,
  type Sizes,
  tidy,
  type Workload,
  workloads,
} from './duplication/tables.ts';
import { rounded } from './figures.ts';
import { describeMachine } from './machine.ts';
import type { BenchOptions } from './options.ts';
import { resetPeak, usageOf } from './process-usage.ts';
import type { Say, Side, Stage } from './stage.ts';

interface Followed {
  readonly applied: Applied;
  readonly lags: ReadonlyMap<string, Lag>;
  /** Of the worker, over its whole life. */
  readonly peakMB: number | null;
}

/** Ours against PostgreSQL's own subscription: a backlog, a steady load; and a load whose worker is killed. */
export async function benchDuplication(options: BenchOptions, stage: Stage, say: Say): Promise<object> {
  const sizes: Sizes = {
    transactions: options.transactions,
    changesPerTransaction: 10,
    hotKeys: 1_000,
    largeTransactions: 5,
    largeRows: Math.ceil((options.transactions * 10) / 3),
  };
  const names = chosenOf(followerNames, options.only);
  const parts = chosenOf(partNames, options.only);
  const pglogical = names.includes('pglogical') && (await hasPglogical(stage.source, stage.target));
  const missing = names.filter((name) => name === 'pglogical' && !pglogical);
  if (missing.length > 0) say(`Not installed, so left out: ${missing.join(', ')}`);
  const present = names.filter((name) => !missing.includes(name));
  const { applied, lags, peakMB } = await followAll({ options, sizes, present, parts }, stage, say);
  const reloaded =
    parts.includes('reload') && present.includes('syncline')
      ? await reloadAfterKill(options, stage, say)
      : null;
  const peaks = [
    appliedPeakMB(applied),
    peakMB,
    lags.get('syncline')?.peakMB ?? null,
    reloaded?.peakMB ?? null,
  ];
  const known = peaks.flatMap((peak) => (peak === null ? [] : [peak]));
  const vs = (workload: Workload, other: string): number | null => throughputRatio(applied, workload, other);
  return {
    bench: 'duplication',
    ...sizes,
    rounds: options.rounds,
    seconds: options.seconds,
    missing,
    distinctVsNative: vs('distinct', 'native'),
    hotVsNative: vs('hot', 'native'),
    largeVsNative: vs('large', 'native'),
    distinctVsPglogical: vs('distinct', 'pglogical'),
    hotVsPglogical: vs('hot', 'pglogical'),
    largeVsPglogical: vs('large', 'pglogical'),
    lagP99Ms: lags.get('syncline')?.p99Ms ?? null,
    peakMemoryMB: known.length === 0 ? null : Math.max(...known),
    reloadedAfterKill: reloaded?.reloadedAfterKill ?? null,
    apply: appliedFigures(applied, sizes),
    lag: { transactionsPerSecond, ...lagFigures(lags) },
    reload: reloaded,
    settings: { source: await settingsOf(stage.source), target: await settingsOf(stage.target) },
    machine: await describeMachine(stage),
  };
}

interface Plan {
  readonly options: BenchOptions;
  readonly sizes: Sizes;
  readonly present: readonly (typeof followerNames)[number][];
  readonly parts: readonly (typeof partNames)[number][];
}

async function followAll(
  { options, sizes, present, parts }: Plan,
  stage: Stage,
  say: Say,
): Promise<Followed> {
  const chosen = workloads.filter((one) => parts.includes(one));
  if (chosen.length === 0 && !parts.includes('lag'))
    return { applied: new Map(), lags: new Map(), peakMB: null };
  say(`Making the tables and loading them for ${present.join(', ')} …`);
  await createTables(stage.source);
  await fillTables(stage.source, sizes);
  await tidy(stage.source);
  return await stage.withWorker(async (worker) => {
    const followers: Follower[] = [];
    try {
      resetPeak(worker.pid);
      for (const name of present) {
        const follower = await followerOf(name, stage);
        followers.push(follower);
        await follower.begin();
        await follower.stop();
      }
      const peak = present.includes('syncline') ? usageOf(worker.pid)?.peakBytes : undefined;
      const applying: Applying = { stage, worker, followers, sizes, rounds: options.rounds };
      const applied = await applyBacklogs(applying, chosen, say);
      const lags = parts.includes('lag')
        ? await measureLag(applying, options.seconds, say)
        : new Map<string, Lag>();
      return { applied, lags, peakMB: peak === undefined ? null : rounded(peak / 1e6, 1) };
    } finally {
      for (const follower of followers) await endOrSay(follower, say);
    }
  });
}

/** A slot that is left keeps a database from being dropped. Bounded: a worker that has died answers nothing. */
async function endOrSay(follower: Follower, say: Say): Promise<void> {
  const ending = follower.end();
  ending.catch(() => undefined);
  const limit = delay(30_000, 'late', { ref: false });
  const outcome = await Promise.race([ending, limit]).catch((error: unknown) => String(error));
  if (outcome !== undefined) say(`  ${follower.name} did not end in order: ${outcome}`);
}

async function followerOf(name: Plan['present'][number], stage: Stage): Promise<Follower> {
  switch (name) {
    case 'syncline':
      return synclineFollower(stage, { name: 'bench-live', tables: followedTables });
    case 'native':
      return nativeFollower(stage.source, await stage.anotherTarget());
    case 'pglogical':
      return pglogicalFollower(stage.source, await stage.anotherTarget());
  }
}

/** What would make one server faster than the next. */
async function settingsOf(side: Side): Promise<object> {
  const names = ['fsync', 'synchronous_commit', 'autovacuum', 'shared_buffers', 'max_wal_size', 'wal_level'];
  const rows = await side.query<{ name: string; value: string }>(
    'SELECT name, current_setting(name) AS value FROM unnest($1::text[]) AS name',
    [[...names, 'logical_decoding_work_mem']],
  );
  return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
}
