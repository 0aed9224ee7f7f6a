import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { bytesPerRow, contentOf, createTable, dropTable, fillTable, type TableSize } from './bench-table.ts';
import { type Figure, figureOf, ratio, rounded } from './figures.ts';
import { describeMachine } from './machine.ts';
import type { Measured } from './job-run.ts';
import { cpuSecondsOfAll } from './process-usage.ts';
import type { BenchOptions } from './options.ts';
import { versionOf } from './programs.ts';
import type { Say, Stage } from './stage.ts';
import { limitWay } from './ways/limit.ts';
import { stagesText } from './stages.ts';
import { synclineWay } from './ways/syncline.ts';
import { pgcopydbWay, pgDumpWay, psqlWay } from './ways/tools.ts';
import type { Way, WayRun } from './ways/way.ts';

const allWays: readonly Way[] = [
  synclineWay('none'),
  synclineWay('count'),
  synclineWay('digest'),
  pgcopydbWay(2),
  pgcopydbWay(4),
  pgDumpWay,
  psqlWay,
  limitWay(false),
  limitWay(true),
];

interface Taking extends Measured {
  /** Of servers, worker and tools together. */
  readonly allCpuSeconds: number | null;
}

type Taken = Map<string, Taking[]>;

/** Every way in every round, each round beginning with another one, so that a slow minute hits them alike. */
export async function benchCopy(options: BenchOptions, stage: Stage, say: Say): Promise<object> {
  const size = { rows: options.rows ?? 4_000_000, partitions: options.partitions ?? 8 };
  say(`Making ${String(size.rows)} rows in ${String(size.partitions)} partitions …`);
  await createTable(stage.source, size, { keys: true });
  await fillTable(stage.source, size);
  const { ways, missing } = await installedWays(options);
  if (missing.length > 0) say(`Not installed, so left out: ${missing.join(', ')}`);
  const taken: Taken = new Map(ways.map((way) => [way.name, []]));
  await stage.withWorker(async (worker) => {
    const run = { stage, worker, size, scratch: join(stage.folder, 'scratch') };
    const expected = JSON.stringify(await contentOf(stage.source));
    // Everything once without counting: code is compiled, pages and connections are warm.
    if (options.rounds > 1)
      for (const way of ways) if (way.name.startsWith('syncline')) await once(way, run, expected);
    for (let round = 0; round < options.rounds; round += 1) {
      for (let turn = 0; turn < ways.length; turn += 1) {
        const way = ways[(turn + round * 2) % ways.length];
        if (way === undefined) continue;
        const measured = await once(way, run, expected);
        taken.get(way.name)?.push(measured);
        say(
          `  round ${String(round + 1)}  ${way.name.padEnd(16)} ${measured.wallSeconds.toFixed(2)} s  ${measured.allCpuSeconds?.toFixed(2) ?? '?'} CPU-s ${stagesText(measured.stages)}`,
        );
      }
    }
  });
  return {
    bench: 'copy',
    ...size,
    rounds: options.rounds,
    missing,
    ...summary(taken),
    machine: await describeMachine(stage),
  };
}

async function installedWays(options: BenchOptions): Promise<{ ways: Way[]; missing: string[] }> {
  const wanted = allWays.filter((way) => options.only === null || options.only.includes(way.name));
  const ways: Way[] = [];
  const missing = new Set<string>();
  for (const way of wanted) {
    const versions = await Promise.all(
      way.needs.map(async (program) => [program, await versionOf(program)] as const),
    );
    const absent = versions.filter(([, version]) => version === null).map(([program]) => program);
    if (absent.length === 0) ways.push(way);
    for (const program of absent) missing.add(program);
  }
  return { ways, missing: [...missing] };
}

async function once(way: Way, run: WayRun, expected: string): Promise<Taking> {
  const { stage, scratch, size } = run;
  await dropTable(stage.target);
  await way.prepare?.(run);
  await rm(scratch, { recursive: true, force: true });
  await mkdir(scratch);
  await Promise.all([stage.source.query('CHECKPOINT'), stage.target.query('CHECKPOINT')]);
  const cpuBefore = cpuSecondsOfAll();
  const startedAt = performance.now();
  const own = await way.copy(run);
  const wallSeconds = (performance.now() - startedAt) / 1_000;
  const cpuAfter = cpuSecondsOfAll();
  const allCpuSeconds = cpuBefore === null || cpuAfter === null ? null : cpuAfter - cpuBefore;
  const found = JSON.stringify(await contentOf(stage.target));
  if (found !== expected) throw new Error(`${way.name} did not copy everything: ${found}, not ${expected}.`);
  const fromOutside = {
    wallSeconds,
    cpuSeconds: null,
    peakMB: null,
    rows: size.rows,
    bytes: approximateBytes(size),
    stages: null,
  };
  return { ...(own ?? fromOutside), allCpuSeconds };
}

function approximateBytes({ rows }: TableSize): number {
  return rows * bytesPerRow;
}

function summary(taken: Taken): object {
  const wall = (name: string): Figure | null =>
    figureOf((taken.get(name) ?? []).map(({ wallSeconds }) => wallSeconds));
  const best = bestOf([wall('pgcopydb-2'), wall('pgcopydb-4')]);
  const counted = taken.get('syncline-count') ?? [];
  const all = ['syncline-none', 'syncline-count', 'syncline-digest'].flatMap((name) => taken.get(name) ?? []);
  const cpu = figureOf(
    counted.flatMap(({ cpuSeconds, bytes }) => (cpuSeconds === null ? [] : [cpuSeconds / (bytes / 1e9)])),
  );
  const peaks = all.flatMap(({ peakMB }) => (peakMB === null ? [] : [peakMB]));
  return {
    copyMB: rounded((counted[0]?.bytes ?? 0) / 1e6, 1),
    wallVsPgcopydb: ratio(wall('syncline-count'), best),
    wallVsPgcopydbDigest: ratio(wall('syncline-digest'), best),
    wallVsPgDump: ratio(wall('syncline-count'), wall('pg_dump')),
    wallVsPsql: ratio(wall('syncline-none'), wall('psql')),
    wallVsLimit: ratio(wall('syncline-none'), wall('limit')),
    wallVsLimitAnalyze: ratio(wall('syncline-none'), wall('limit-analyze')),
    cpuSecondsPerGB: cpu?.median ?? null,
    peakMemoryMB: peaks.length === 0 ? null : rounded(Math.max(...peaks), 1),
    wallSeconds: Object.fromEntries([...taken.keys()].map((name) => [name, wall(name)])),
    allCpuSeconds: Object.fromEntries(
      [...taken].map(([name, takings]) => [
        name,
        figureOf(takings.flatMap(({ allCpuSeconds }) => (allCpuSeconds === null ? [] : [allCpuSeconds]))),
      ]),
    ),
    cpuSecondsPerGBSpread: cpu,
  };
}

function bestOf(figures: readonly (Figure | null)[]): Figure | null {
  const known = figures.filter((figure) => figure !== null);
  return known.sort((a, b) => a.median - b.median)[0] ?? null;
}
