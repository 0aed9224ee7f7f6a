import type { Store } from '../spi/store.ts';
import { type Address, Artifact } from './artifact.ts';
import { createCatalog } from './backup/catalog.ts';
import { createWriter } from './backup/writer.ts';
import { createLedger } from './load/ledger.ts';
import { createChunkSource } from './read/chunk-source.ts';
import { createTableBuilder } from './tables/table-builder.ts';
import { createTableReader } from './tables/table-reader.ts';
import { createChunkTarget } from './write/chunk-target.ts';

/**
 * The backups below one path of a store of files, as a store of tables: a backup is a load into it, a restore one out of
 * it. Cheap; nothing is read yet. Throws `store.unsupported` when the store keeps no files. Closing it closes nothing:
 * the store of files belongs to who opened it.
 */
export function openArtifact(files: Store, address: Address): Store {
  const artifact = new Artifact(files, address);
  return {
    kind: files.kind,
    name: files.name,
    capabilities: {
      tableReader: createTableReader(artifact),
      tableBuilder: createTableBuilder(artifact),
      chunkSource: createChunkSource(artifact),
      chunkTarget: createChunkTarget(artifact),
      loadLedger: createLedger(artifact),
      backupCatalog: createCatalog(artifact),
      backupWriter: createWriter(artifact),
    },
    ...(files.encryption === undefined ? {} : { encryption: files.encryption }),
    check: () => files.check(),
    close: () => Promise.resolve(),
  };
}
