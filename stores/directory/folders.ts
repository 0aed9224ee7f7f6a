import { type Dirent } from 'node:fs';
import { mkdir, open, readdir, realpath, rmdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { isSafeKey } from '../spi/files.ts';
import { isAbsence, leadsOut, systemCodeOf } from './errors.ts';

/** A file below the root: of an object, or the partial one of a write that did not end. */
export interface FoundFile {
  /** Folder as the beginning of keys: '' or `a/b/`. */
  readonly folder: string;
  readonly name: string;
}

export type Wanted = 'objects' | 'partials';

/**
 * The folders of a directory store. Symbolic links below the root are never followed: through one, a key would
 * reach what is not below the root.
 */
export class Folders {
  readonly store: string;
  readonly root: string;

  constructor(store: string, path: string) {
    this.store = store;
    this.root = resolve(path);
  }

  /** The existing folder of a key, as an absolute path; null when it, or something on the way, is not there. */
  async find(key: string): Promise<string | null> {
    try {
      const root = await realpath(this.root);
      const folder = resolve(root, folderOf(key));
      if ((await realpath(folder)) !== folder) throw leadsOut({ store: this.store, key });
      return folder;
    } catch (error) {
      if (isAbsence(error)) return null;
      throw error;
    }
  }

  /** The folder of a key, durably there. */
  async make(key: string): Promise<string> {
    const wanted = resolve(this.root, folderOf(key));
    const before = await this.find(key);
    if (before !== null) return before;
    await makeFolder(wanted);
    const folder = await this.find(key);
    // Another one may remove the folder at once, as empty: whoever needs it tries again.
    if (folder === null) throw Object.assign(new Error('The folder went away.'), { code: 'ENOENT' });
    return folder;
  }

  /** Removes the folder of a key and those above it, as far as they are empty and below the root. */
  async removeEmpty(key: string): Promise<void> {
    for (let folder = folderOf(key); folder !== ''; folder = folderOf(folder.slice(0, -1))) {
      try {
        await rmdir(join(this.root, folder));
      } catch (error) {
        if (['ENOTEMPTY', 'EEXIST', 'EBUSY'].includes(systemCodeOf(error))) return;
        if (!isAbsence(error)) throw error;
      }
    }
  }

  /** Files whose place begins with the prefix, in ascending byte order of their whole names; one folder in memory a level. */
  async *walk(prefix: string, wanted: Wanted): AsyncGenerator<FoundFile> {
    const folder = folderOf(prefix);
    const found = await this.find(prefix);
    if (found !== null) yield* this.walkFolder({ folder, prefix, wanted });
  }

  private async *walkFolder(request: WalkFolder): AsyncGenerator<FoundFile> {
    const { folder, prefix, wanted } = request;
    for (const entry of await this.entriesOf(folder)) {
      const place = `${folder}${wanted === 'partials' ? objectNameOf(entry.name) : entry.name}`;
      if (entry.isDirectory()) {
        const below = `${folder}${entry.name}/`;
        const onTheWay = below.startsWith(prefix) || prefix.startsWith(below);
        if (onTheWay && isSafeKey(below.slice(0, -1))) yield* this.walkFolder({ ...request, folder: below });
      } else if (entry.isFile() && place.startsWith(prefix) && isSafeKey(place)) {
        if (isPartial(entry.name) === (wanted === 'partials')) yield { folder, name: entry.name };
      }
    }
  }

  private async entriesOf(folder: string): Promise<Dirent[]> {
    try {
      const entries = await readdir(join(this.root, folder), { withFileTypes: true });
      // A folder sorts as its keys do: with the slash that follows its name.
      const order = (entry: Dirent): string => (entry.isDirectory() ? `${entry.name}/` : entry.name);
      return entries.sort((a, b) => (order(a) < order(b) ? -1 : 1));
    } catch (error) {
      if (isAbsence(error)) return [];
      throw error;
    }
  }
}

interface WalkFolder {
  readonly folder: string;
  readonly prefix: string;
  readonly wanted: Wanted;
}

/** '' or the part up to and with the last slash. */
export function folderOf(key: string): string {
  return key.slice(0, key.lastIndexOf('/') + 1);
}

const partialName = /^\.(.+)\.[0-9a-f]{16}\.partial$/;

/** Hidden, so that it is no key; says whose it is, so that `sweep` knows it by its prefix. 255 bytes hold it. */
export function partialNameOf(key: string, token: string): string {
  return `.${key.slice(folderOf(key).length).slice(0, 200)}.${token}.partial`;
}

function isPartial(name: string): boolean {
  return partialName.test(name);
}

/** The name of the object that a partial file was to become (its first 200 letters); other names as they are. */
function objectNameOf(name: string): string {
  return partialName.exec(name)?.[1] ?? name;
}

/** What was made or renamed in the folder is still there after a power failure. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Step by step, since `recursive` forgets to sync, and says ENOENT of a disk that is read-only. */
async function makeFolder(path: string): Promise<void> {
  try {
    await makeOne(path);
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT' || dirname(path) === path) throw error;
    await makeFolder(dirname(path));
    await makeOne(path);
  }
}

async function makeOne(path: string): Promise<void> {
  try {
    await mkdir(path);
    await syncFolder(dirname(path));
  } catch (error) {
    if (systemCodeOf(error) !== 'EEXIST') throw error;
  }
}
