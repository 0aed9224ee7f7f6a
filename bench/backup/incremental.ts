import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { contentOf, createTable, dropTable, fillTable, tableName } from '../bench-table.ts';
import { type Figure, figureOf, ratio } from '../figures.ts';
import type { BenchOptions } from '../options.ts';
import type { Say, Stage } from '../stage.ts';
import { activityTimes } from './activity-times.ts';
import { type BackupSpec, bytesBelow, runStage } from './job.ts';

export interface IncrementalFigures {
  readonly incrementalVsFull: number | null;
  readonly rows: number;
  readonly chunks: number;
  readonly changedChunks: number;
  readonly fullSeconds: Figure | null;
  readonly incrementalSeconds: Figure | null;
  readonly fullMB: Figure | null;
  readonly incrementalMB: Figure | null;
}

const chunks = 100;
const changedChunks = 1;

/** A full backup with the defaults of a job, one chunk of a hundred changed, and the same job again. */
export async function incrementalBackups(
  options: BenchOptions,
  stage: Stage,
  say: Say,
): Promise<IncrementalFigures> {
  const size = { rows: Math.max(options.rows ?? 4_000_000, chunks), partitions: chunks };
  say(`Making ${String(size.rows)} rows in ${String(chunks)} partitions …`);
  await createTable(stage.source, size, { keys: true });
  await fillTable(stage.source, size);
  const full: number[] = [];
  const incremental: number[] = [];
  const fullMB: number[] = [];
  const incrementalMB: number[] = [];
  await stage.withWorker(async (worker) => {
    for (let round = 0; round < options.rounds; round += 1) {
      const name = `incremental-${String(round)}`;
      const spec: BackupSpec = { name, compression: 'zstd', encrypt: false, verify: 'digest' };
      const folder = join(stage.folder, 'vault', name);
      const first = await runStage(stage, worker, { spec, of: 'backup' });
      say(`  ${await activityTimes(stage.temporal, first.workflowId)}`);
      const bytes = await bytesBelow(folder);
      await stage.source.query(`UPDATE ${tableName}_${String(round % chunks)} SET price = price + 1`);
      await stage.source.query('CHECKPOINT');
      const second = await runStage(stage, worker, { spec, of: 'backup' });
      const times = await activityTimes(stage.temporal, second.workflowId);
      const added = (await bytesBelow(folder)) - bytes;
      full.push(first.wallSeconds);
      incremental.push(second.wallSeconds);
      fullMB.push(bytes / 1e6);
      incrementalMB.push(added / 1e6);
      say(
        `  round ${String(round + 1)}  full ${first.wallSeconds.toFixed(2)} s, ${(bytes / 1e6).toFixed(1)} MB; incremental ${second.wallSeconds.toFixed(2)} s, ${(added / 1e6).toFixed(1)} MB (${times})`,
      );
      if (round === options.rounds - 1)
        await checkRestore(stage, () => runStage(stage, worker, { spec, of: 'restore' }));
      await rm(folder, { recursive: true, force: true });
    }
  });
  await dropTable(stage.source);
  const seconds = { full: figureOf(full), incremental: figureOf(incremental) };
  return {
    incrementalVsFull: ratio(seconds.incremental, seconds.full),
    rows: size.rows,
    chunks,
    changedChunks,
    fullSeconds: seconds.full,
    incrementalSeconds: seconds.incremental,
    fullMB: figureOf(fullMB, 1),
    incrementalMB: figureOf(incrementalMB, 1),
  };
}

/** What was referred to is as good as what was written. */
async function checkRestore(stage: Stage, restore: () => Promise<unknown>): Promise<void> {
  const expected = JSON.stringify(await contentOf(stage.source));
  await dropTable(stage.target);
  await restore();
  const found = JSON.stringify(await contentOf(stage.target));
  if (found !== expected)
    throw new Error(`The incremental backup holds something else: ${found}, not ${expected}.`);
}
