import { type FileStat, isSafeKey } from '../../spi/files.ts';
import type { Sessions } from '../connection/sessions.ts';
import { entriesOf, type Entry } from './folders.ts';

/** Directories asked for before their turn: the way to the server is long, the answers are short. */
const foldersAhead = 8;

/** In ascending byte order of whole keys: a directory stands among its neighbours as `name/`. */
export async function* listObjects(
  sessions: Sessions,
  root: string,
  prefix: string,
): AsyncGenerator<FileStat> {
  const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  yield* listFolder({ sessions, root, prefix }, folder, readFolder(sessions, root, folder));
}

interface Listing {
  readonly sessions: Sessions;
  readonly root: string;
  readonly prefix: string;
}

type Found = Promise<readonly Entry[]>;

async function* listFolder(listing: Listing, folder: string, found: Found): AsyncGenerator<FileStat> {
  const { sessions, root, prefix } = listing;
  const sorted = (await found)
    .map((entry) => ({ entry, key: `${folder}${entry.name}${entry.type === 'folder' ? '/' : ''}` }))
    .filter(
      ({ entry, key }) => entry.type !== 'other' && isSafeKey(folder + entry.name) && key.startsWith(prefix),
    )
    .sort((a, b) => (a.key < b.key ? -1 : 1));
  const folders = sorted.filter(({ entry }) => entry.type === 'folder').map(({ key }) => key);
  const begun = new Map<string, Found>();
  for (const { entry, key } of sorted) {
    if (entry.type === 'file') {
      yield statOf(entry, key);
      continue;
    }
    const at = folders.indexOf(key);
    for (const ahead of folders.slice(at, at + foldersAhead)) {
      if (!begun.has(ahead)) begun.set(ahead, readFolder(sessions, root, ahead));
    }
    const inside = begun.get(key) ?? readFolder(sessions, root, key);
    yield* listFolder(listing, key, inside);
    begun.set(key, Promise.resolve([]));
  }
}

/** What is not there holds nothing: it may have been removed just now. */
function readFolder(sessions: Sessions, root: string, folder: string): Found {
  const path = `${root}/${folder}`.replace(/\/+$/, '');
  const found = sessions.use('listing objects', async (session) => (await entriesOf(session, path)) ?? []);
  // Heard of when its turn comes; nobody does when the list is left before.
  found.catch(() => undefined);
  return found;
}

export function statOf(entry: Entry, key: string): FileStat {
  return { key, bytes: entry.bytes, changedAt: new Date(entry.changedAtMs).toISOString(), sha256: null };
}
