import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { Redaction } from '../../../worker/redaction.ts';
import { createStoreProvider } from '../../../worker/stores.ts';
import type { StoredObject } from '../../../stores/spi/artifact.ts';
import { requireCapability, type Store } from '../../../stores/spi/store.ts';
import { backupPath, type BackupRig } from './backup-rig.ts';
import type { LabDatabase } from './database.ts';
import type { FilePlace } from './file-place.ts';

/** What lies at a place of backups, held against what its manifests say; all lists are empty when all is well. */
export interface PlaceReport {
  /** Ids of the published ones, oldest first. */
  readonly backups: readonly string[];
  /** Manifests that cannot be read, objects that are missing or other than their hash says. */
  readonly broken: readonly string[];
  /** Objects that no manifest names. */
  readonly unnamed: readonly string[];
  /** Objects of work under way. */
  readonly work: readonly string[];
  /** Notes on loads: what they said at their end, or of which nobody knows any more. */
  readonly plans: readonly string[];
  /** What unfinished writes left. */
  readonly leftovers: readonly string[];
}

/** Reads every byte of every published backup. */
export async function reportOf(place: FilePlace): Promise<PlaceReport> {
  const settings = { ...place.truth };
  const provider = await createStoreProvider(
    { stores: { place: { kind: String(settings['kind']), settings } } },
    { redaction: new Redaction() },
  );
  try {
    const artifact = provider.artifact('place', { path: backupPath, backup: null });
    return await readPlace(place, { artifact, store: provider.get('place') });
  } finally {
    await provider.closeAll();
  }
}

interface Opened {
  readonly artifact: Store;
  readonly store: Store;
}

async function readPlace(place: FilePlace, { artifact, store }: Opened): Promise<PlaceReport> {
  const files = requireCapability(store, 'files');
  const { backups, broken } = await requireCapability(artifact, 'backupCatalog').list();
  const faults = broken.map(({ backup, code }) => `${backup}: ${code}`);
  const named = new Set<string>();
  for (const { backup } of backups) {
    named.add(`backups/${backup}/manifest.json`);
    for (const object of await objectsOf(artifact, backup)) {
      named.add(object.key);
      const found = await files.stat(`${backupPath}/${object.key}`, { sha256: true });
      if (found?.sha256 !== object.sha256 || found.bytes !== object.bytes) faults.push(object.key);
    }
  }
  const keys: string[] = [];
  for await (const { key } of files.list(`${backupPath}/`)) keys.push(key.slice(backupPath.length + 1));
  const below = (...folders: string[]): string[] =>
    keys.filter((key) => folders.some((folder) => key.startsWith(`${folder}/`)));
  return {
    backups: backups.map(({ backup }) => backup).reverse(),
    broken: faults,
    unnamed: below('data', 'backups').filter((key) => !named.has(key)),
    work: below('work'),
    plans: below('plans'),
    leftovers: await place.leftovers(),
  };
}

async function objectsOf(artifact: Store, backup: string): Promise<StoredObject[]> {
  const catalog = requireCapability(artifact, 'backupCatalog');
  const all: StoredObject[] = [];
  for (;;) {
    const some = await catalog.objects(backup, all.length, 1_000);
    if (some.length === 0) return all;
    all.push(...some);
  }
}

/**
 * Everything that has a receipt, or a row in the ledger, and by which it is recognised: for an object its file and when
 * it was written, for a unit of the target its attempt and when it was committed. None of it may be done again.
 */
export type DoneSoFar = ReadonlyMap<string, string>;

export async function doneSoFar(rig: BackupRig): Promise<DoneSoFar> {
  const done = new Map<string, string>();
  for (const place of [rig.vault, rig.far]) {
    for (const receipt of await receiptsAt(place)) {
      const path = await objectOf(receipt).then((key) => join(place.root, backupPath, key));
      done.set(`file ${path}`, await faceOf(path));
    }
  }
  for (const [unit, how] of await committedUnits(rig.target, rig.name)) done.set(unit, how);
  return done;
}

/** Names of what was done before and is not there any more, or was done once more. */
export async function doneAgain(rig: BackupRig, before: DoneSoFar): Promise<string[]> {
  const committed = await committedUnits(rig.target, rig.name);
  const again: string[] = [];
  for (const [what, how] of before) {
    const now = what.startsWith('file ')
      ? await faceOf(what.slice('file '.length)).catch(() => 'gone')
      : (committed.get(what) ?? 'gone');
    if (now !== how) again.push(`${what}: ${how}, now ${now}`);
  }
  return again;
}

/** Receipts of work under way. */
export async function receiptsAt(place: FilePlace): Promise<string[]> {
  const work = join(place.root, backupPath, 'work');
  const entries = await readdir(work, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => relative(work, path).split('/')[1] === 'done');
}

async function objectOf(receipt: string): Promise<string> {
  const { object } = JSON.parse(await readFile(receipt, 'utf8')) as { object: { key: string } };
  return object.key;
}

async function faceOf(path: string): Promise<string> {
  const { ino, mtimeMs, size } = await stat(path);
  return `inode ${String(ino)}, ${String(size)} bytes of ${String(mtimeMs)}`;
}

async function committedUnits(target: LabDatabase, job: string): Promise<ReadonlyMap<string, string>> {
  const [schema] = await target.query<{ found: string | null }>(
    `SELECT to_regclass('syncline.ledger')::text AS found`,
  );
  if ((schema?.found ?? null) === null) return new Map();
  const rows = await target.query<{ unit: string; how: string }>(
    `SELECT format('unit %s %s %s', load, chunk, slice) AS unit, format('%s at %s', attempt, committed_at) AS how
       FROM syncline.ledger WHERE job = '${job}'`,
  );
  return new Map(rows.map(({ unit, how }) => [unit, how]));
}
