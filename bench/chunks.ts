import { CopyIn } from '../stores/postgres/copy/copy-in.ts';
import { CopyOut } from '../stores/postgres/copy/copy-out.ts';
import { contentOf, createTable, fillTable, partitionNames, tableName } from './bench-table.ts';
import { figureOf, ratio, rounded } from './figures.ts';
import { type Measured, runJob } from './job-run.ts';
import { cpuSecondsOfAll } from './process-usage.ts';
import { stagesText } from './stages.ts';
import { describeMachine } from './machine.ts';
import type { BenchOptions } from './options.ts';
import { onLanes } from './lanes.ts';
import type { Say, Stage } from './stage.ts';

const parallel = 4;

/**
 * Many tiny partitions of one parent, there on both sides: what a chunk costs when it holds next to nothing.
 * The loop is TRUNCATE and COPY in one transaction each, on as many connections as the job has chunks in flight;
 * `chunksVsLoop` compares with that one. One connection alone is measured too.
 */
export async function benchChunks(options: BenchOptions, stage: Stage, say: Say): Promise<object> {
  const partitions = options.partitions ?? 10_000;
  const size = { partitions, rows: options.rows ?? partitions * 10 };
  say(`Making ${String(size.rows)} rows in ${String(partitions)} partitions on both sides …`);
  await Promise.all([
    createTable(stage.source, size, { keys: true }).then(() => fillTable(stage.source, size)),
    createTable(stage.target, size, { keys: true }),
  ]);
  const expected = JSON.stringify(await contentOf(stage.source));
  const names = partitionNames(partitions);
  const seconds = { loop: [] as number[], sequentialLoop: [] as number[], syncline: [] as number[] };
  const cpuSeconds = { loop: [] as number[], sequentialLoop: [] as number[], syncline: [] as number[] };
  await stage.withWorker(async (worker) => {
    const ways: readonly (readonly [keyof typeof seconds, () => Promise<Measured | null>])[] = [
      ['loop', () => loop(stage, names, parallel)],
      [
        'syncline',
        () => runJob(stage, worker, { table: tableName, verify: 'none', parallel, createTables: false }),
      ],
      ['sequentialLoop', () => loop(stage, names, 1)],
    ];
    for (let round = 0; round < options.rounds; round += 1) {
      for (const turn of ways.keys()) {
        const way = ways[(turn + round) % ways.length];
        if (way === undefined) continue;
        const [name, work] = way;
        await stage.target.query(`TRUNCATE ${tableName}`);
        const cpuBefore = cpuSecondsOfAll() ?? NaN;
        const startedAt = performance.now();
        const measured = await work();
        const taken = (performance.now() - startedAt) / 1_000;
        const cpu = (cpuSecondsOfAll() ?? NaN) - cpuBefore;
        if (JSON.stringify(await contentOf(stage.target)) !== expected)
          throw new Error(`${name} did not copy everything.`);
        seconds[name].push(taken);
        cpuSeconds[name].push(cpu);
        const ofWorker =
          typeof measured?.cpuSeconds !== 'number' ? '' : `, worker ${measured.cpuSeconds.toFixed(2)}`;
        say(
          `  round ${String(round + 1)}  ${name.padEnd(16)} ${taken.toFixed(2)} s  ${cpu.toFixed(2)} CPU-s${ofWorker}  ${stagesText(measured?.stages ?? null)}`,
        );
      }
    }
  });
  const figures = {
    loop: figureOf(seconds.loop),
    sequentialLoop: figureOf(seconds.sequentialLoop),
    syncline: figureOf(seconds.syncline),
  };
  return {
    bench: 'chunks',
    ...size,
    rounds: options.rounds,
    chunksVsLoop: ratio(figures.syncline, figures.loop),
    chunksVsSequentialLoop: ratio(figures.syncline, figures.sequentialLoop),
    msPerChunk: rounded(((figures.syncline?.median ?? 0) / partitions) * 1_000, 3),
    wallSeconds: figures,
    allCpuSeconds: {
      loop: figureOf(cpuSeconds.loop),
      sequentialLoop: figureOf(cpuSeconds.sequentialLoop),
      syncline: figureOf(cpuSeconds.syncline),
    },
    machine: await describeMachine(stage),
  };
}

async function loop(stage: Stage, names: readonly string[], connections: number): Promise<null> {
  await onLanes(stage, { items: names, lanes: connections }, async ({ source, target }, name) => {
    await target.query(`BEGIN; TRUNCATE ${name}`);
    const out = new CopyOut(`COPY ${name} TO STDOUT (FORMAT binary)`, { framed: true }).start(source);
    const into = new CopyIn(`COPY ${name} FROM STDIN (FORMAT binary)`);
    await into.run(target, { format: 'binary', framed: true, bytes: out });
    await target.query('COMMIT');
  });
  return null;
}
