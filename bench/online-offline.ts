import { join } from 'node:path';
import pg from 'pg';
import { type BackupSpec, bytesBelow, runStage } from './backup/job.ts';
import { contentOf, createTable, dropTable, fillTable, tableName } from './bench-table.ts';
import type { BuiltWorker } from './built-worker.ts';
import { figureOf, ratio, rounded } from './figures.ts';
import { type Measured, runJob } from './job-run.ts';
import { describeMachine } from './machine.ts';
import type { BenchOptions } from './options.ts';
import type { Say, Side, Stage } from './stage.ts';

interface Offline {
  readonly backup: Measured;
  readonly transfer: Measured;
  readonly restore: Measured;
  readonly vaultBytes: number;
  readonly farBytes: number;
}

/**
 * The same table both ways, with the defaults of each kind: a copy, and a backup that goes through two directories.
 * Offline, each database takes no connection while it is not needed: that it need not be there is shown, not claimed.
 */
export async function benchOnlineOffline(options: BenchOptions, stage: Stage, say: Say): Promise<object> {
  const size = { rows: options.rows ?? 4_000_000, partitions: options.partitions ?? 8 };
  say(`Making ${String(size.rows)} rows in ${String(size.partitions)} partitions …`);
  await createTable(stage.source, size, { keys: true });
  await fillTable(stage.source, size);
  const expected = JSON.stringify(await contentOf(stage.source));
  const online: Measured[] = [];
  const offline: Offline[] = [];
  for (let round = 0; round < options.rounds; round += 1) {
    const spec: BackupSpec = {
      name: `round-${String(round)}`,
      compression: 'zstd',
      encrypt: true,
      verify: 'digest',
    };
    for (const turn of round % 2 === 0 ? ['online', 'offline'] : ['offline', 'online']) {
      await dropTable(stage.target);
      await Promise.all([stage.source.query('CHECKPOINT'), stage.target.query('CHECKPOINT')]);
      // A worker of its own for each, so that its peak of memory is its own.
      await stage.withWorker(async (worker) => {
        if (turn === 'online') online.push(await copyOnce(stage, worker));
        else offline.push(await offlineOnce(stage, worker, spec));
      });
      const found = JSON.stringify(await contentOf(stage.target));
      if (found !== expected) throw new Error(`${turn}: the target has ${found}, not ${expected}.`);
      say(`  round ${String(round + 1)}  ${turn} ${textOf(turn, online, offline)}`);
    }
  }
  return {
    bench: 'online-offline',
    ...size,
    ...summary(online, offline),
    machine: await describeMachine(stage),
  };
}

async function copyOnce(stage: Stage, worker: BuiltWorker): Promise<Measured> {
  return await runJob(stage, worker, { table: tableName, verify: 'digest', parallel: 4, createTables: true });
}

async function offlineOnce(stage: Stage, worker: BuiltWorker, spec: BackupSpec): Promise<Offline> {
  const away = {
    source: <T>(work: () => Promise<T>) => withoutConnections(stage.source, work),
    target: <T>(work: () => Promise<T>) => withoutConnections(stage.target, work),
  };
  const backup = await away.target(() => runStage(stage, worker, { spec, of: 'backup' }));
  const transfer = await away.target(() =>
    away.source(() => runStage(stage, worker, { spec, of: 'transfer' })),
  );
  const restore = await away.source(() => runStage(stage, worker, { spec, of: 'restore', from: 'far' }));
  const [vaultBytes, farBytes] = await Promise.all(
    ['vault', 'far'].map((store) => bytesBelow(join(stage.folder, store, spec.name))),
  );
  return { backup, transfer, restore, vaultBytes: vaultBytes ?? 0, farBytes: farBytes ?? 0 };
}

/** While `work` goes on nobody gets into the database, and who was in is out. */
async function withoutConnections<T>({ url }: Side, work: () => Promise<T>): Promise<T> {
  const name = new URL(url).pathname.slice(1);
  const other = new URL(url);
  other.pathname = '/postgres';
  const client = new pg.Client({ connectionString: other.href });
  await client.connect();
  try {
    await client.query(`ALTER DATABASE ${name} WITH ALLOW_CONNECTIONS false`);
    await client.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [name]);
    return await work();
  } finally {
    await client.query(`ALTER DATABASE ${name} WITH ALLOW_CONNECTIONS true`);
    await client.end();
  }
}

function summary(online: readonly Measured[], offline: readonly Offline[]): object {
  const seconds = (pick: (one: Offline) => Measured) => figureOf(offline.map((one) => pick(one).wallSeconds));
  const all = figureOf(offline.map(wallOf));
  const copied = figureOf(online.map(({ wallSeconds }) => wallSeconds));
  const backup = seconds((one) => one.backup);
  const transfer = seconds((one) => one.transfer);
  const restore = seconds((one) => one.restore);
  return {
    rounds: offline.length,
    copyMB: rounded((online[0]?.bytes ?? 0) / 1e6, 1),
    offlineVsOnline: ratio(all, copied),
    online: {
      seconds: copied,
      peakMemoryMB: peakOf(online),
      extraDiskMB: 0,
      sourceNeededSeconds: copied?.median ?? null,
      targetNeededSeconds: copied?.median ?? null,
      bothNeededSeconds: copied?.median ?? null,
    },
    offline: {
      seconds: all,
      backupSeconds: backup,
      transferSeconds: transfer,
      restoreSeconds: restore,
      peakMemoryMB: peakOf(offline.flatMap((one) => [one.backup, one.transfer, one.restore])),
      extraDiskMB: rounded(((offline[0]?.vaultBytes ?? 0) + (offline[0]?.farBytes ?? 0)) / 1e6, 1),
      vaultMB: rounded((offline[0]?.vaultBytes ?? 0) / 1e6, 1),
      farMB: rounded((offline[0]?.farBytes ?? 0) / 1e6, 1),
      sourceNeededSeconds: backup?.median ?? null,
      targetNeededSeconds: restore?.median ?? null,
      /** Each was closed while the other worked. */
      bothNeededSeconds: 0,
    },
  };
}

function wallOf({ backup, transfer, restore }: Offline): number {
  return backup.wallSeconds + transfer.wallSeconds + restore.wallSeconds;
}

function peakOf(runs: readonly Measured[]): number | null {
  const peaks = runs.flatMap(({ peakMB }) => (peakMB === null ? [] : [peakMB]));
  return peaks.length === 0 ? null : rounded(Math.max(...peaks), 1);
}

function textOf(turn: string, online: readonly Measured[], offline: readonly Offline[]): string {
  if (turn === 'online') return `${online.at(-1)?.wallSeconds.toFixed(2) ?? '?'} s`;
  const last = offline.at(-1);
  if (last === undefined) return '?';
  const { backup, transfer, restore } = last;
  const [one, two, three] = [backup, transfer, restore].map(({ wallSeconds }) => wallSeconds.toFixed(2));
  return `backup ${one ?? '?'} s, transfer ${two ?? '?'} s, restore ${three ?? '?'} s`;
}
