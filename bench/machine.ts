import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { versionOf } from './programs.ts';
import { rounded } from './figures.ts';
import type { Stage } from './stage.ts';

/** A figure without its machine says nothing. */
export async function describeMachine(stage: Stage): Promise<object> {
  const version = async (side: 'source' | 'target'): Promise<string> => {
    const rows = await stage[side].query<{ version: string }>(
      `SELECT current_setting('server_version') AS version`,
    );
    return rows[0]?.version ?? '?';
  };
  return {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model ?? null,
    memoryGB: rounded(totalmem() / 1e9, 1),
    platform: `${process.platform} ${process.arch}`,
    load1m: rounded(loadavg()[0] ?? 0, 2),
    node: process.version,
    postgres: { source: await version('source'), target: await version('target') },
    pgcopydb: await versionOf('pgcopydb'),
    pgDump: await versionOf('pg_dump'),
    psql: await versionOf('psql'),
  };
}
