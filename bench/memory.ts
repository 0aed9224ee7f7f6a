import { bytesPerRow, contentOf, createTable, dropTable, fillTable, tableName } from './bench-table.ts';
import { figureOf, ratio, rounded } from './figures.ts';
import { type Measured, runJob } from './job-run.ts';
import { describeMachine } from './machine.ts';
import type { BenchOptions } from './options.ts';
import type { Say, Stage } from './stage.ts';

/** Peak of a fresh worker for one partition of either size. Flat, because nothing is held but buffers. */
export async function benchMemory(options: BenchOptions, stage: Stage, say: Say): Promise<object> {
  const small: Measured[] = [];
  const large: Measured[] = [];
  for (const { copyMB, runs } of [
    { copyMB: options.smallMB, runs: small },
    { copyMB: options.largeMB, runs: large },
  ]) {
    const size = { rows: Math.round((copyMB * 1e6) / bytesPerRow), partitions: 1 };
    say(`Making one partition of ${String(copyMB)} MB …`);
    await dropTable(stage.source);
    await createTable(stage.source, size, { keys: true });
    await fillTable(stage.source, size);
    const expected = JSON.stringify(await contentOf(stage.source));
    for (let round = 0; round < options.rounds; round += 1) {
      await dropTable(stage.target);
      const run = await stage.withWorker((worker) =>
        runJob(stage, worker, { table: tableName, verify: 'count', parallel: 4, createTables: true }),
      );
      if (JSON.stringify(await contentOf(stage.target)) !== expected)
        throw new Error('Not everything was copied.');
      runs.push(run);
      say(
        `  ${String(copyMB)} MB: peak ${run.peakMB?.toFixed(1) ?? '?'} MB, ${run.wallSeconds.toFixed(2)} s`,
      );
    }
  }
  const peaks = (runs: readonly Measured[]) =>
    figureOf(
      runs.flatMap(({ peakMB }) => (peakMB === null ? [] : [peakMB])),
      1,
    );
  return {
    bench: 'memory',
    rounds: options.rounds,
    peakMemoryMB: peaks(large)?.max ?? null,
    memoryGrowth: ratio(peaks(large), peaks(small)),
    small: { copyMB: rounded((small[0]?.bytes ?? 0) / 1e6, 1), peakMB: peaks(small) },
    large: { copyMB: rounded((large[0]?.bytes ?? 0) / 1e6, 1), peakMB: peaks(large) },
    machine: await describeMachine(stage),
  };
}
