import { setTimeout as delay } from 'node:timers/promises';
import { startProxyFor } from '../../test/support/tcp-proxy.ts';
import { createTable, contentOf, dropTable, fillTable, tableName } from '../bench-table.ts';
import { rounded } from '../figures.ts';
import type { BenchOptions } from '../options.ts';
import { usageOf } from '../process-usage.ts';
import type { Say, Stage } from '../stage.ts';
import { submitJob, synclineFollower, untilConsistent } from './syncline.ts';

export interface Reloaded {
  /** Of the bytes that left the source without a kill. */
  readonly reloadedAfterKill: number;
  readonly rows: number;
  readonly chunks: number;
  /** Bytes that left the source, by a proxy before it that counts: once through, and with the kill. */
  readonly undisturbedMB: number;
  readonly killedMB: number;
  /** When the worker was killed. */
  readonly killedAtMB: number;
  /** From the submission to consistency. */
  readonly undisturbedSeconds: number;
  readonly killedSeconds: number;
  readonly peakMB: number | null;
}

interface Load {
  readonly bytes: number;
  readonly seconds: number;
  readonly peakBytes: number;
}

/** A load without a kill says what must leave the source; one whose worker is killed half-way says what leaves it twice. */
export async function reloadAfterKill(options: BenchOptions, stage: Stage, say: Say): Promise<Reloaded> {
  const size = { rows: options.rows ?? 2_000_000, partitions: options.partitions ?? 64 };
  say(`Making ${String(size.rows)} rows in ${String(size.partitions)} partitions …`);
  await createTable(stage.source, size, { keys: true });
  await fillTable(stage.source, size);
  const undisturbed = await loadOnce(stage, 'bench-undisturbed', null);
  const killAt = undisturbed.bytes / 2;
  const killed = await loadOnce(stage, 'bench-killed', killAt);
  await dropTable(stage.source);
  const reloadedAfterKill = rounded((killed.bytes - undisturbed.bytes) / undisturbed.bytes, 4);
  const peak = Math.max(undisturbed.peakBytes, killed.peakBytes);
  say(
    `  killed at ${(killAt / 1e6).toFixed(1)} MB: ${(killed.bytes / 1e6).toFixed(1)} MB left the source, ${(undisturbed.bytes / 1e6).toFixed(1)} MB without the kill`,
  );
  return {
    reloadedAfterKill,
    rows: size.rows,
    chunks: size.partitions,
    undisturbedMB: rounded(undisturbed.bytes / 1e6, 2),
    killedMB: rounded(killed.bytes / 1e6, 2),
    killedAtMB: rounded(killAt / 1e6, 2),
    undisturbedSeconds: rounded(undisturbed.seconds, 3),
    killedSeconds: rounded(killed.seconds, 3),
    peakMB: peak === 0 ? null : rounded(peak / 1e6, 1),
  };
}

async function loadOnce(stage: Stage, name: string, killAt: number | null): Promise<Load> {
  const proxy = await startProxyFor(stage.source.url);
  const env = { BENCH_SOURCE: proxy.rewrite(stage.source.url) };
  const job = { name, tables: [tableName] };
  let killedPeak = 0;
  try {
    const startedAt = performance.now();
    if (killAt !== null) {
      await stage.withWorker(async (worker) => {
        await submitJob(stage, job);
        while (proxy.bytesDown < killAt) await delay(1);
        killedPeak = usageOf(worker.pid)?.peakBytes ?? 0;
        await worker.kill();
      }, env);
    }
    return await stage.withWorker(async (worker) => {
      if (killAt === null) await submitJob(stage, job);
      await untilConsistent(stage, name);
      const seconds = (performance.now() - startedAt) / 1_000;
      const bytes = proxy.bytesDown;
      const [expected, found] = await Promise.all([contentOf(stage.source), contentOf(stage.target)]);
      if (JSON.stringify(found) !== JSON.stringify(expected)) throw new Error('Not everything was loaded.');
      const peakBytes = Math.max(killedPeak, usageOf(worker.pid)?.peakBytes ?? 0);
      await synclineFollower(stage, job).end();
      await dropTable(stage.target);
      return { bytes, seconds, peakBytes };
    }, env);
  } finally {
    await proxy.close();
  }
}
