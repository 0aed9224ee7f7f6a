import type { BuiltWorker } from '../built-worker.ts';
import { type Figure, figureOf, ratio, rounded } from '../figures.ts';
import { resetPeak, usageOf } from '../process-usage.ts';
import type { Say, Stage } from '../stage.ts';
import { takeBack, writeBacklog, writeMark } from './backlog.ts';
import { type Cost, costBetween, costFigures, costNow, costText } from './cost.ts';
import { type Follower, untilMarked } from './follower.ts';
import { contentOf, markTable, type Sizes, tableOf, tidy, type Workload } from './tables.ts';

interface Taking {
  readonly wallSeconds: number;
  readonly cost: Cost;
  /** Of the worker; only where it works. */
  readonly peakMB: number | null;
}

export interface Applying {
  readonly stage: Stage;
  readonly worker: BuiltWorker;
  readonly followers: readonly Follower[];
  readonly sizes: Sizes;
  readonly rounds: number;
}

export type Applied = ReadonlyMap<Workload, ReadonlyMap<string, readonly Taking[]>>;

/**
 * Each backlog is written once a round, while nobody follows, and then applied by one after another, each round beginning
 * with another one. All followers are stopped before and after.
 */
export async function applyBacklogs(
  applying: Applying,
  workloads: readonly Workload[],
  say: Say,
): Promise<Applied> {
  const { stage, followers, sizes, rounds } = applying;
  const applied = new Map(
    workloads.map((one) => [one, new Map(followers.map(({ name }) => [name, [] as Taking[]]))]),
  );
  for (let round = 0; round < rounds; round += 1) {
    for (const workload of workloads) {
      if (workload === 'large') await backToFirstRows(applying);
      await tidy(stage.source);
      const mark = await nextMark(stage);
      const startedAt = performance.now();
      await writeBacklog(stage.source, workload, sizes);
      await writeMark(stage.source, mark);
      const written = (performance.now() - startedAt) / 1_000;
      const expected = await contentOf(stage.source, tableOf(workload));
      for (const turn of followers.keys()) {
        const follower = followers[(turn + round) % followers.length];
        if (follower === undefined) continue;
        const taking = await applyOnce(applying, follower, mark);
        const found = await contentOf(follower.target, tableOf(workload));
        if (found !== expected)
          throw new Error(`${follower.name} applied something else: ${found}, not ${expected}.`);
        applied.get(workload)?.get(follower.name)?.push(taking);
        say(
          `  round ${String(round + 1)}  ${workload.padEnd(8)} ${follower.name.padEnd(10)} ${taking.wallSeconds.toFixed(2)} s  (${costText(taking.cost)}; written in ${written.toFixed(1)} s)`,
        );
      }
    }
  }
  return applied;
}

async function applyOnce({ stage, worker }: Applying, follower: Follower, mark: number): Promise<Taking> {
  await tidy(follower.target);
  await stage.source.query('CHECKPOINT');
  resetPeak(worker.pid);
  const before = costNow(stage, worker.pid);
  const startedAt = performance.now();
  await follower.resume();
  await untilMarked(follower.target, mark);
  const wallSeconds = (performance.now() - startedAt) / 1_000;
  const cost = costBetween(before, costNow(stage, worker.pid));
  const peak = follower.name === 'syncline' ? usageOf(worker.pid)?.peakBytes : undefined;
  await follower.stop();
  return { wallSeconds, cost, peakMB: peak === undefined ? null : peak / 1e6 };
}

/** Not timed: what the last round of large transactions has added goes away again, everywhere. */
async function backToFirstRows({ stage, followers, sizes }: Applying): Promise<void> {
  const mark = await nextMark(stage);
  await takeBack(stage.source, sizes);
  await writeMark(stage.source, mark);
  for (const follower of followers) {
    await follower.resume();
    await untilMarked(follower.target, mark);
    await follower.stop();
  }
}

export async function nextMark({ source }: Stage): Promise<number> {
  const rows = await source.query<{ mark: number }>(`SELECT mark FROM ${markTable}`);
  return (rows[0]?.mark ?? 0) + 1;
}

function changesOf(workload: Workload, sizes: Sizes): number {
  if (workload === 'large') return sizes.largeTransactions * sizes.largeRows;
  return sizes.transactions * sizes.changesPerTransaction;
}

/** How many times as fast as another one, by medians. */
export function throughputRatio(applied: Applied, workload: Workload, other: string): number | null {
  return ratio(wallOf(applied, workload, other), wallOf(applied, workload, 'syncline'));
}

function wallOf(applied: Applied, workload: Workload, follower: string): Figure | null {
  return figureOf((applied.get(workload)?.get(follower) ?? []).map(({ wallSeconds }) => wallSeconds));
}

export function appliedFigures(applied: Applied, sizes: Sizes): object {
  const ofFollower = (workload: Workload, takings: readonly Taking[]): object => {
    const wallSeconds = figureOf(takings.map((taking) => taking.wallSeconds));
    return {
      wallSeconds,
      changesPerSecond:
        wallSeconds === null ? null : Math.round(changesOf(workload, sizes) / wallSeconds.median),
      cpuSeconds: costFigures(takings.map(({ cost }) => cost)),
    };
  };
  return Object.fromEntries(
    [...applied].map(([workload, byName]) => [
      workload,
      {
        changes: changesOf(workload, sizes),
        ...Object.fromEntries([...byName].map(([name, takings]) => [name, ofFollower(workload, takings)])),
      },
    ]),
  );
}

/** Highest of the worker over all backlogs. */
export function appliedPeakMB(applied: Applied): number | null {
  const peaks = [...applied.values()]
    .flatMap((byName) => [...byName.values()].flat())
    .flatMap(({ peakMB }) => (peakMB === null ? [] : [peakMB]));
  return peaks.length === 0 ? null : rounded(Math.max(...peaks), 1);
}
