import type { Stats } from 'ssh2';
import { hasStatus, ServerStatus, status } from '../connection/errors.ts';
import type { Session } from '../connection/session.ts';
import { parentOf } from './names.ts';

export interface Entry {
  readonly name: string;
  readonly type: 'file' | 'folder' | 'other';
  readonly bytes: number;
  /** Milliseconds since 1970, by the server's clock, to the second. */
  readonly changedAtMs: number;
}

/** What the directory holds, in no order; null when there is no such directory. */
export async function entriesOf(session: Session, folder: string): Promise<Entry[] | null> {
  try {
    const found = await session.ask<{ filename: string; attrs: Stats }[]>((sftp, done) =>
      sftp.readdir(folder === '' ? '/' : folder, done),
    );
    return found.map(({ filename, attrs }) => ({ name: filename, ...described(attrs) }));
  } catch (error) {
    if (hasStatus(error, status.missing)) return null;
    throw error;
  }
}

/** Null when there is nothing of that name. A symbolic link is not followed: it may lead out of the root. */
export async function entryOf(session: Session, path: string, signal?: AbortSignal): Promise<Entry | null> {
  try {
    const stats = await session.ask<Stats>(
      (sftp, done) => sftp.lstat(path, done),
      signal === undefined ? {} : { signal },
    );
    return { name: path.slice(path.lastIndexOf('/') + 1), ...described(stats) };
  } catch (error) {
    if (hasStatus(error, status.missing)) return null;
    throw error;
  }
}

function described(stats: Stats): Omit<Entry, 'name'> {
  const type = stats.isFile() ? 'file' : stats.isDirectory() ? 'folder' : 'other';
  return { type, bytes: stats.size, changedAtMs: stats.mtime * 1000 };
}

/** Makes the directory and whatever is missing above it. Others may remove empty ones meanwhile, hence the attempts. */
export async function makeFolders(session: Session, folder: string): Promise<void> {
  if (folder === '') return;
  for (let attempt = 1; ; attempt += 1) {
    try {
      await session.ask<unknown>((sftp, done) => sftp.mkdir(folder, done as (error: unknown) => void));
      return;
    } catch (error) {
      if (hasStatus(error, status.missing) && attempt < 100) {
        await makeFolders(session, parentOf(folder));
        continue;
      }
      // Version 3 has no status for "exists already".
      if (!(error instanceof ServerStatus) || !(await isFolder(session, folder))) throw error;
      return;
    }
  }
}

async function isFolder(session: Session, path: string): Promise<boolean> {
  try {
    return (await session.ask<Stats>((sftp, done) => sftp.stat(path, done))).isDirectory();
  } catch (error) {
    if (hasStatus(error, status.missing)) return false;
    throw error;
  }
}

/** Removes the directory and those above it, up to and without `root`, as long as they are empty. */
export async function pruneFolders(session: Session, folder: string, root: string): Promise<void> {
  for (let path = folder; path.length > root.length; path = parentOf(path)) {
    try {
      await session.ask<unknown>((sftp, done) => sftp.rmdir(path, done as (error: unknown) => void));
    } catch (error) {
      if (hasStatus(error, status.missing)) continue;
      if (error instanceof ServerStatus) return;
      throw error;
    }
  }
}

/** False when there was none. */
export async function unlinkFile(session: Session, path: string, signal?: AbortSignal): Promise<boolean> {
  try {
    await session.ask<unknown>(
      (sftp, done) => sftp.unlink(path, done as (error: unknown) => void),
      signal === undefined ? {} : { signal },
    );
    return true;
  } catch (error) {
    if (hasStatus(error, status.missing)) return false;
    throw error;
  }
}
