import type { ZodType } from 'zod';
import { SynclineError } from '../../definitions/errors.ts';
import type { BackupCatalog, BackupWriter } from './artifact.ts';
import type { ChunkSource, SnapshotHolder } from './chunk-source.ts';
import type { ChunkTarget } from './chunk-target.ts';
import type { FileMirror, FileStore, LocalRoot } from './files.ts';
import type { LoadLedger } from './load-ledger.ts';
import type { LogSource } from './log.ts';
import type { LogTarget } from './log-target.ts';
import type { EncryptionKeys } from './settings.ts';
import type { TableBuilder, TableReader } from './tables.ts';
import type { TouchedRows } from './touched-rows.ts';

/** Everything a store may offer. A store offers what it can; activities ask for what they need. */
export interface Capabilities {
  /** Describes tables, for planning (source) and preflight (both sides). */
  readonly tableReader: TableReader;
  /** Creates and completes tables (target). */
  readonly tableBuilder: TableBuilder;
  /** Cuts tables into units and reads one unit under one snapshot (source). */
  readonly chunkSource: ChunkSource;
  /** Writes one unit in one transaction together with its ledger row (target). */
  readonly chunkTarget: ChunkTarget;
  /** Remembers plans, dead letters and watermarks beside the data (target). */
  readonly loadLedger: LoadLedger;
  /** Exports one snapshot for many readings (source). */
  readonly snapshotHolder: SnapshotHolder;
  /** Has a log of changes that can be followed (source of a link). */
  readonly logSource: LogSource;
  /** Says which rows a log has touched, and reads those again (source of a backup at a cut). */
  readonly touchedRows: TouchedRows;
  /** Applies a log exactly once (target of a link). */
  readonly logTarget: LogTarget;
  /** Knows the backups at a path, and makes one; only of a store opened by `StoreProvider.artifact`. */
  readonly backupCatalog: BackupCatalog;
  readonly backupWriter: BackupWriter;
  /** Keeps objects by name (backups, transfer). */
  readonly files: FileStore;
  /** Takes many local files at once, where a tool can (rsync). */
  readonly fileMirror: FileMirror;
  /** Keeps its objects as files of this machine. */
  readonly localRoot: LocalRoot;
}

export interface StoreHealth {
  /** For people: `PostgreSQL 18.4`. */
  readonly version: string;
  readonly latencyMs: number;
  readonly warnings: readonly string[];
  /** Room left for objects, where the store knows; absent: unknown. */
  readonly freeBytes?: number;
}

/** An open store. Safe for concurrent use; sessions are taken per call and given back. */
export interface Store {
  readonly kind: string;
  /** The name under `stores:` in syncline.yaml. */
  readonly name: string;
  /** Present capabilities only. Stable for the life of the store. */
  readonly capabilities: Partial<Capabilities>;
  /** Keys of `encryption`, where the store has them: for the artifacts in it. Never leaves the process. */
  readonly encryption?: EncryptionKeys;
  /** One round trip. Throws `store.unreachable`, `store.authentication`, `store.permission`. */
  check(): Promise<StoreHealth>;
  /** Ends every session. Idempotent. Calls under way fail with `store.connectionLost`. */
  close(): Promise<void>;
}

/** What plugs a kind of store in: one folder exports one of these, `registry.ts` lists it. */
export interface StoreModule<Settings = unknown> {
  readonly kind: string;
  /** Shape of the entry under `stores:` (strict), after `${NAME}` was resolved. Every field described. */
  readonly settings: ZodType<Settings>;
  /** Does not connect yet: the first use does. */
  open(name: string, settings: Settings): Store;
}

/** The capability, or a `store.unsupported` error that names store and capability. */
export function requireCapability<Name extends keyof Capabilities>(
  store: Store,
  name: Name,
): Capabilities[Name] {
  const capability = store.capabilities[name];
  if (capability === undefined) {
    throw new SynclineError('store.unsupported', `Store ${store.name} (${store.kind}) has no ${name}.`, {
      details: { store: store.name },
    });
  }
  return capability;
}

/** Gives stores by name; the same name gives the same open store within a process. */
export interface StoreProvider {
  /** Throws `definition.unknownStore`, `definition.missingSecret`. */
  get(name: string): Store;
  /**
   * The backups at a path of a store with `files`, or one of them (`address.backup`), as a store: it offers
   * `tableReader`, `tableBuilder`, `chunkSource`, `chunkTarget`, `loadLedger`, `backupCatalog` and `backupWriter`.
   * Cheap; nothing is read yet. Errors as `get`, and `store.unsupported`.
   */
  artifact(name: string, address: { readonly path: string; readonly backup: string | null }): Store;
  names(): readonly string[];
  closeAll(): Promise<void>;
}
