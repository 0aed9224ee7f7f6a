import type { ChunkSource } from '../spi/chunk-source.ts';
import type { ChunkTarget } from '../spi/chunk-target.ts';
import type { Store, StoreHealth, StoreModule } from '../spi/store.ts';
import { createLogTarget } from './apply/log-target.ts';
import { createTableReader } from './catalog/table-reader.ts';
import { Sessions } from './connection.ts';
import { createCutter } from './cut/cutter.ts';
import { areInOrder } from './cut/range-order.ts';
import { createTableBuilder } from './ddl/table-builder.ts';
import { createLoadLedger } from './ledger/load-ledger.ts';
import { expectLedger } from './ledger/schema.ts';
import { readContents } from './load/contents.ts';
import { keepChunk } from './load/kept-chunk.ts';
import { removeStaging } from './load/remove-staging.ts';
import { checkReferences } from './load/references.ts';
import { rowsPresent } from './load/rows-present.ts';
import { createSnapshotHolder } from './load/snapshot-holder.ts';
import { openUnitReading } from './load/unit-reading.ts';
import { beginUnit } from './load/unit-writing.ts';
import { createLogSource } from './log/log-source.ts';
import { type PostgresSettings, postgresSettings } from './settings.ts';
import { createTouchedRows } from './touched/touched-rows.ts';

/** PostgreSQL: source 14 to 18, target 15 to 18. node = server, chunk = partition, volume = tablespace. */
export const postgresModule: StoreModule<PostgresSettings> = {
  kind: 'postgres',
  settings: postgresSettings,
  open: openPostgres,
};

function openPostgres(name: string, settings: PostgresSettings): Store {
  const sessions = new Sessions(name, settings);
  const chunkSource: ChunkSource = {
    cut: createCutter(sessions).cut,
    areInOrder: (leaf, ranges) => areInOrder(sessions, leaf, ranges),
    open: (request) => openUnitReading(sessions, request),
    contents: (request) => readContents(sessions, request),
    endSessions: (job) => sessions.endSessions(job),
  };
  const chunkTarget: ChunkTarget = {
    formats: ['binary', 'text', 'csv'],
    takesFramed: true,
    async begin(request) {
      await expectLedger(sessions);
      return await beginUnit(sessions, request);
    },
    async beginFinish(request) {
      await expectLedger(sessions);
      return await beginUnit(sessions, request);
    },
    async keepChunk(request, slices) {
      await expectLedger(sessions);
      return await keepChunk(sessions, request, slices);
    },
    rowsPresent: (plan) => rowsPresent(sessions, plan),
    checkReferences: (plans) => checkReferences(sessions, plans),
    async removeStaging(job) {
      await sessions.endSessions(job);
      return await removeStaging(sessions, job);
    },
  };
  return {
    kind: 'postgres',
    name,
    capabilities: {
      tableReader: createTableReader(sessions, name),
      tableBuilder: createTableBuilder(sessions),
      chunkSource,
      chunkTarget,
      loadLedger: createLoadLedger(sessions),
      snapshotHolder: createSnapshotHolder(sessions),
      logTarget: createLogTarget(sessions),
      logSource: createLogSource(sessions),
      touchedRows: createTouchedRows(sessions),
    },
    check: () => check(sessions),
    close: () => sessions.close(),
  };
}

async function check(sessions: Sessions): Promise<StoreHealth> {
  return await sessions.use('check', async (session) => {
    const startedAt = performance.now();
    const rows = await session.query<{ version: string; recovering: boolean }>(
      `SELECT current_setting('server_version') AS version, pg_is_in_recovery() AS recovering`,
    );
    const latencyMs = performance.now() - startedAt;
    const row = rows[0];
    return {
      version: `PostgreSQL ${row?.version ?? '?'}`,
      latencyMs,
      warnings:
        row?.recovering === true
          ? ['The server is a standby: it can be a source of a copy, not a target.']
          : [],
    };
  });
}
