import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { access, chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { SynclineError } from '../../definitions/errors.ts';
import type { PostgresBinaries } from './postgres-binaries.ts';
import { giveTo, isOpenToAll, type ServerAccount } from './server-account.ts';

const run = promisify(execFile);

export interface ClusterDirectory {
  /** PGDATA. */
  readonly data: string;
  readonly password: string;
  readonly logFile: string;
  /** Removed when the server is stopped; null for a directory that the caller named. */
  readonly temporary: string | null;
}

/** A folder of our own for one server, which its account can reach and other users cannot look into. */
export async function makeTemporaryFolder(account: ServerAccount | null): Promise<string> {
  const parent = account === null || (await isOpenToAll(tmpdir())) ? tmpdir() : '/tmp';
  const folder = await mkdtemp(join(parent, 'syncline-postgres-run-'));
  await giveTo(account, folder);
  return folder;
}

/** Where a cluster lies. A named directory is kept, and used again with the password it was made with. */
export async function locateCluster(
  temporary: string | null,
  dataDirectory: string | undefined,
): Promise<ClusterDirectory> {
  const data = temporary === null ? resolve(dataDirectory ?? '.') : join(temporary, 'data');
  const known = await readFile(join(data, passwordFile), 'utf8').catch(() => null);
  return {
    data,
    password: known ?? randomBytes(12).toString('hex'),
    logFile: `${data}.log`,
    temporary,
  };
}

const passwordFile = 'syncline-password';

export interface InitOptions {
  readonly binaries: PostgresBinaries;
  readonly account: ServerAccount | null;
}

/** initdb, unless the directory holds a cluster already. Superuser `postgres`, password by SCRAM. */
export async function initCluster(directory: ClusterDirectory, options: InitOptions): Promise<void> {
  const { data, password } = directory;
  if (await exists(join(data, 'PG_VERSION'))) return;
  await mkdir(dirname(data), { recursive: true });
  await mkdir(data, { recursive: true, mode: 0o700 });
  await chmod(data, 0o700);
  const secret = `${data}.pw`;
  await writeFile(secret, password, { mode: 0o600 });
  await giveTo(options.account, data, secret);
  try {
    await initWithAnyLocale(data, secret, options);
    await writeFile(join(data, passwordFile), password, { mode: 0o600 });
  } finally {
    await rm(secret, { force: true });
  }
}

/** Sorted like C, but with letters of all languages, where the system has such a locale. */
const locales = ['C.UTF-8', 'C.utf8', 'C'];

async function initWithAnyLocale(data: string, secret: string, options: InitOptions): Promise<void> {
  let reason = '';
  for (const locale of locales) {
    const args = ['-D', data, '-U', 'postgres', '--auth=scram-sha-256', `--pwfile=${secret}`, '--no-sync'];
    try {
      await run(options.binaries.initdb, [...args, '--encoding=UTF8', `--locale=${locale}`], {
        ...options.account,
        cwd: dirname(data),
        env: { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' },
      });
      return;
    } catch (error) {
      reason = (error as { stderr?: string }).stderr?.trim() ?? String(error);
      if (!reason.includes('locale')) break;
    }
  }
  throw new SynclineError(
    'store.unreachable',
    `initdb could not make a PostgreSQL cluster in ${data}: ${reason}`,
  );
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
