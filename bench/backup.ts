import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { backupChunkMemory } from './backup/chunk-memory.ts';
import { incrementalBackups } from './backup/incremental.ts';
import { bytesBelow } from './backup/job.ts';
import { type BackupWay, pgDumpWay, synclineBackupWay } from './backup/ways.ts';
import { bytesPerRow, contentOf, createTable, dropTable, fillTable } from './bench-table.ts';
import { type Figure, figureOf, ratio, rounded } from './figures.ts';
import { describeMachine } from './machine.ts';
import type { BenchOptions } from './options.ts';
import { cpuSecondsOfAll } from './process-usage.ts';
import { versionOf } from './programs.ts';
import type { Say, Stage } from './stage.ts';
import type { WayRun } from './ways/way.ts';

const plain = { encrypt: false, verify: 'count' } as const;

const allWays: readonly BackupWay[] = [
  pgDumpWay(1),
  pgDumpWay(6),
  synclineBackupWay('syncline-gzip1', { ...plain, compression: 'gzip', level: 1 }),
  synclineBackupWay('syncline-gzip1-digest', { ...plain, compression: 'gzip', level: 1, verify: 'digest' }),
  synclineBackupWay('syncline-gzip6', { ...plain, compression: 'gzip', level: 6 }),
  synclineBackupWay('syncline-zstd-digest', { ...plain, compression: 'zstd', verify: 'digest' }),
  synclineBackupWay('syncline-zstd-digest-encrypted', {
    compression: 'zstd',
    encrypt: true,
    verify: 'digest',
  }),
];

interface Taking {
  readonly backupSeconds: number;
  readonly restoreSeconds: number;
  /** Part of `restoreSeconds`. */
  readonly analyzeSeconds: number | null;
  readonly backupCpuSeconds: number;
  readonly restoreCpuSeconds: number;
  readonly fileMB: number;
}

type Taken = Map<string, Taking[]>;

/** Backup and restore against pg_dump and pg_restore, incremental against full, and the peak of one big chunk. */
export async function benchBackup(options: BenchOptions, stage: Stage, say: Say): Promise<object> {
  const size = { rows: options.rows ?? 4_000_000, partitions: options.partitions ?? 8 };
  const { taken, missing } = await takeAll(options, stage, say);
  const incremental = await incrementalBackups({ ...options, rows: size.rows }, stage, say);
  const memory = options.chunkBytes === 0 ? null : await backupChunkMemory(options, stage, say);
  const wall = wallOf(taken, (one) => one.backupSeconds);
  const restored = wallOf(taken, (one) => one.restoreSeconds);
  const restoredAlone = wallOf(taken, (one) => one.restoreSeconds - (one.analyzeSeconds ?? 0));
  return {
    bench: 'backup',
    ...size,
    rounds: options.rounds,
    missing,
    copyMB: rounded((size.rows * bytesPerRow) / 1e6, 1),
    backupVsPgDump: ratio(wall('syncline-gzip1'), wall('pg_dump-gzip1')),
    restoreVsPgRestore: ratio(restored('syncline-gzip1'), restored('pg_dump-gzip1')),
    incrementalVsFull: incremental.incrementalVsFull,
    peakMemoryMB: memory?.peakMemoryMB ?? null,
    backupVsPgDumpGzip6: ratio(wall('syncline-gzip6'), wall('pg_dump-gzip6')),
    restoreVsPgRestoreGzip6: ratio(restored('syncline-gzip6'), restored('pg_dump-gzip6')),
    backupVsPgDumpDigest: ratio(wall('syncline-gzip1-digest'), wall('pg_dump-gzip1')),
    restoreVsPgRestoreDigest: ratio(restored('syncline-gzip1-digest'), restored('pg_dump-gzip1')),
    /** Ours with its ANALYZE against pg_restore without any. */
    restoreVsPgRestoreWithoutAnalyze: ratio(restored('syncline-gzip1'), restoredAlone('pg_dump-gzip1')),
    ways: Object.fromEntries([...taken].map(([name, takings]) => [name, figuresOf(takings)])),
    incremental,
    memory,
    machine: await describeMachine(stage),
  };
}

async function takeAll(
  options: BenchOptions,
  stage: Stage,
  say: Say,
): Promise<{ readonly taken: Taken; readonly missing: readonly string[] }> {
  const size = { rows: options.rows ?? 4_000_000, partitions: options.partitions ?? 8 };
  say(`Making ${String(size.rows)} rows in ${String(size.partitions)} partitions …`);
  await createTable(stage.source, size, { keys: true });
  await fillTable(stage.source, size);
  const expected = JSON.stringify(await contentOf(stage.source));
  const { ways, missing } = await installedWays(options);
  if (missing.length > 0) say(`Not installed, so left out: ${missing.join(', ')}`);
  const taken: Taken = new Map(ways.map((way) => [way.name, []]));
  await stage.withWorker(async (worker) => {
    const run = { stage, worker, size, scratch: join(stage.folder, 'scratch') };
    const warmUp = ways.find(({ name }) => name.startsWith('syncline'));
    // Once without counting: code is compiled, pages and connections are warm.
    if (options.rounds > 1 && warmUp !== undefined) await once(warmUp, { ...run, round: 'warm' }, expected);
    for (let round = 0; round < options.rounds; round += 1) {
      for (let turn = 0; turn < ways.length; turn += 1) {
        const way = ways[(turn + round * 2) % ways.length];
        if (way === undefined) continue;
        const taking = await once(way, { ...run, round: String(round) }, expected);
        taken.get(way.name)?.push(taking);
        say(`  round ${String(round + 1)}  ${way.name.padEnd(30)} ${textOf(taking)}`);
      }
    }
  });
  await dropTable(stage.source);
  return { taken, missing };
}

async function installedWays(options: BenchOptions): Promise<{ ways: BackupWay[]; missing: string[] }> {
  const wanted = allWays.filter(({ name }) => options.only === null || options.only.includes(name));
  const versions = new Map<string, string | null>();
  for (const program of wanted.flatMap(({ needs }) => needs))
    if (!versions.has(program)) versions.set(program, await versionOf(program));
  const missing = [...versions].flatMap(([program, version]) => (version === null ? [program] : []));
  return { ways: wanted.filter(({ needs }) => !needs.some((one) => missing.includes(one))), missing };
}

/** Backs up, restores what was written, and compares; the clock stands still in between. */
async function once(
  way: BackupWay,
  run: WayRun & { readonly round: string },
  expected: string,
): Promise<Taking> {
  const { stage, scratch, round } = run;
  await dropTable(stage.target);
  await rm(scratch, { recursive: true, force: true });
  await mkdir(scratch);
  await checkpoints(stage);
  const written = await timed(() => way.backup(run, round));
  const fileMB = (await bytesBelow(written.value)) / 1e6;
  await checkpoints(stage);
  const restored = await timed(() => way.restore(run, round));
  const found = JSON.stringify(await contentOf(stage.target));
  if (found !== expected)
    throw new Error(`${way.name} did not restore everything: ${found}, not ${expected}.`);
  await rm(written.value, { recursive: true, force: true });
  return {
    backupSeconds: written.seconds,
    restoreSeconds: restored.seconds,
    analyzeSeconds: restored.value.analyze,
    backupCpuSeconds: written.cpuSeconds,
    restoreCpuSeconds: restored.cpuSeconds,
    fileMB,
  };
}

async function checkpoints({ source, target }: Stage): Promise<void> {
  await Promise.all([source.query('CHECKPOINT'), target.query('CHECKPOINT')]);
}

async function timed<T>(
  work: () => Promise<T>,
): Promise<{ readonly value: T; readonly seconds: number; readonly cpuSeconds: number }> {
  const cpuBefore = cpuSecondsOfAll() ?? NaN;
  const startedAt = performance.now();
  const value = await work();
  const seconds = (performance.now() - startedAt) / 1_000;
  return { value, seconds, cpuSeconds: (cpuSecondsOfAll() ?? NaN) - cpuBefore };
}

function textOf(taking: Taking): string {
  const seconds = (wall: number, cpu: number): string => `${wall.toFixed(2)} s (${cpu.toFixed(2)} CPU-s)`;
  return `backup ${seconds(taking.backupSeconds, taking.backupCpuSeconds)}, restore ${seconds(taking.restoreSeconds, taking.restoreCpuSeconds)}, ${taking.fileMB.toFixed(1)} MB`;
}

function wallOf(taken: Taken, pick: (one: Taking) => number): (name: string) => Figure | null {
  return (name) => figureOf((taken.get(name) ?? []).map(pick));
}

function figuresOf(takings: readonly Taking[]): object {
  const figure = (pick: (one: Taking) => number | null): Figure | null =>
    figureOf(
      takings.flatMap((one) => {
        const value = pick(one);
        return value === null || Number.isNaN(value) ? [] : [value];
      }),
    );
  return {
    backupSeconds: figure((one) => one.backupSeconds),
    restoreSeconds: figure((one) => one.restoreSeconds),
    analyzeSeconds: figure((one) => one.analyzeSeconds),
    backupCpuSeconds: figure((one) => one.backupCpuSeconds),
    restoreCpuSeconds: figure((one) => one.restoreCpuSeconds),
    fileMB: rounded(takings[0]?.fileMB ?? 0, 1),
  };
}
