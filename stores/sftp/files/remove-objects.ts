import { hasStatus, ServerStatus, status } from '../connection/errors.ts';
import type { Session } from '../connection/session.ts';
import { entryOf, pruneFolders, unlinkFile } from './folders.ts';
import { parentOf } from './names.ts';

const removesAhead = 32;

/** Removes the objects, then the directories that became empty. */
export async function removeObjects(session: Session, root: string, keys: readonly string[]): Promise<void> {
  const folders = new Set<string>();
  const paths = keys.map((key) => `${root}/${key}`)[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    for (const path of paths) {
      await removeObject(session, path);
      folders.add(parentOf(path));
    }
  };
  await Promise.all(Array.from({ length: Math.min(removesAhead, keys.length) }, worker));
  // Deepest first: each one climbs as far as it is empty.
  const deepestFirst = [...folders].sort((a, b) => b.length - a.length);
  for (const folder of deepestFirst) await pruneFolders(session, folder, root);
}

/** A directory of that name is no object, and stays. */
async function removeObject(session: Session, path: string): Promise<void> {
  try {
    await unlinkFile(session, path);
  } catch (error) {
    if (!(error instanceof ServerStatus) || hasStatus(error, status.unsupported)) throw error;
    const entry = await entryOf(session, path);
    if (entry !== null && entry.type !== 'folder') throw error;
  }
}
