import { readdirSync, existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { trimmed } from '../../definitions/schema/backup-restore.ts';
import { SynclineError } from '../../definitions/errors.ts';
import type { StoreEntry } from '../../definitions/stores-file.ts';
import type { BackupCatalog } from '../../stores/spi/artifact.ts';
import type { FileStore } from '../../stores/spi/files.ts';
import { requireCapability, type Store, type StoreProvider } from '../../stores/spi/store.ts';
import type { CommandContext } from '../context.ts';

/** Where the user says the backups are: a directory, or a store of syncline.yaml and a path in it. */
export interface PlaceOptions {
  readonly store?: string;
  readonly path?: string;
  /** Variables that hold the keys of encrypted backups, the newest first. */
  readonly keyEnv?: readonly string[];
}

/** The backups at one place. */
export interface Backups {
  /** As a person would call it. */
  readonly title: string;
  readonly catalog: BackupCatalog;
  readonly files: FileStore;
  /** Before every key of the catalogue: empty, or ends with `/`. */
  readonly prefix: string;
  /** One of them, as a store to read. */
  open(backup: string): Store;
}

export interface PlaceWords {
  readonly backups: Backups;
  /** What follows the directory. */
  readonly rest: readonly string[];
}

/**
 * With `--store`, all words are left over; else the first one is a directory, and nothing but the file system is
 * needed. Errors: `definition.invalid`, `definition.unknownStore`, `definition.missingSecret`.
 */
export async function openBackups(
  context: CommandContext,
  words: readonly string[],
  options: PlaceOptions,
): Promise<PlaceWords> {
  const { store, path, keyEnv } = options;
  if (store !== undefined) {
    if (path === undefined || keyEnv !== undefined)
      throw usage('`--store` goes with `--path`, and has its keys in syncline.yaml.');
    const stores = await context.stores();
    return { backups: backupsAt(stores, store, trimmed(path)), rest: words };
  }
  if (path !== undefined) throw usage('`--path` is one of a store: name it with `--store`.');
  const [directory, ...rest] = words;
  if (directory === undefined) throw usage('Name a directory, or a store with `--store` and `--path`.');
  if (!existsSync(directory) || !statSync(directory).isDirectory())
    throw usage(`There is no directory ${directory}.`);
  const stores = await context.storesOf({ [directory]: directoryEntry(directory, keyEnv ?? []) });
  return { backups: backupsAt(stores, directory, ''), rest };
}

function usage(message: string): SynclineError {
  return new SynclineError('definition.invalid', message);
}

/** The keys stay references until the store is opened, so that they are never printed. */
function directoryEntry(directory: string, keyEnv: readonly string[]): StoreEntry {
  const [key, ...earlier] = keyEnv.map((name) => `\${${name}}`);
  const settings = {
    kind: 'directory',
    path: resolve(directory).replaceAll('${', '$${'),
    ...(key === undefined ? {} : { encryption: { key, earlier } }),
  };
  return { kind: 'directory', settings };
}

function backupsAt(stores: StoreProvider, store: string, path: string): Backups {
  const open = (backup: string | null): Store => stores.artifact(store, { path, backup });
  return {
    title: path === '' ? store : `${store}:${path}`,
    catalog: requireCapability(open(null), 'backupCatalog'),
    files: requireCapability(stores.get(store), 'files'),
    prefix: path === '' ? '' : `${path}/`,
    open,
  };
}

/** The one that was named, else the newest. Errors: `artifact.missing`. */
export async function backupNamed({ catalog, title }: Backups, name: string | undefined): Promise<string> {
  if (name !== undefined && name !== 'latest') return name;
  const { backups, broken } = await catalog.list();
  const newest = [...backups, ...broken].reduce((one, { backup }) => (backup > one ? backup : one), '');
  if (newest === '') throw new SynclineError('artifact.missing', `There is no backup at ${title}.`);
  return newest;
}

/** Folders right below a directory that hold the backups of a job: perhaps one of them was meant. */
export function placesBelow(directory: string): string[] {
  if (!existsSync(directory)) return [];
  const folders = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return folders
    .map(({ name }) => join(directory, name))
    .filter((folder) => existsSync(join(folder, 'owner.json')));
}
