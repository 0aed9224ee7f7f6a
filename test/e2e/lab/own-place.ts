import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type PostgresServer, startPostgres } from '../../../worker/local/postgres.ts';
import type { PostgresVersion } from '../../../worker/local/postgres-binaries.ts';
import { startTemporal, type TemporalServer } from '../../../worker/local/temporal.ts';
import type { Place } from './rig.ts';

/** Servers that may be killed. */
export interface OwnPlace extends Place {
  readonly sourceServer: PostgresServer;
  readonly targetServer: PostgresServer;
  /** kill -9 of the Temporal server, and a new one over the same database file on the same port. */
  restartTemporal(whileAway?: () => Promise<void>): Promise<void>;
  stop(): Promise<void>;
}

export interface OwnPlaceOptions {
  /** Default 18. */
  readonly sourceVersion?: PostgresVersion;
  readonly targetVersion?: PostgresVersion;
}

export async function startOwnPlace(options: OwnPlaceOptions = {}): Promise<OwnPlace> {
  const { sourceVersion = 18, targetVersion = 18 } = options;
  const folder = await mkdtemp(join(tmpdir(), 'syncline-place-'));
  await chmod(folder, 0o755);
  const dbFilename = join(folder, 'temporal.db');
  const [sourceServer, targetServer, first] = await Promise.all([
    startPostgres({ version: sourceVersion }),
    startPostgres({ version: targetVersion }),
    startTemporal({ alwaysOwn: true, dbFilename }),
  ]);
  let temporal: TemporalServer = first;
  const port = Number(first.address.slice(first.address.lastIndexOf(':') + 1));
  return {
    source: sourceServer.url,
    target: targetServer.url,
    temporalAddress: first.address,
    sourceServer,
    targetServer,
    async restartTemporal(whileAway) {
      await temporal.kill();
      await whileAway?.();
      temporal = await startTemporal({ alwaysOwn: true, dbFilename, port });
    },
    async stop() {
      await Promise.all([sourceServer.stop(), targetServer.stop(), temporal.stop()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
