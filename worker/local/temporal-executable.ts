import { execFile } from 'node:child_process';
import { access, constants, mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { SynclineError } from '../../definitions/errors.ts';
import { cacheDirectory } from './cache-directory.ts';
import { type Guardian, startGuardian } from './guardian.ts';

const run = promisify(execFile);

/** The newest version that `go install` accepts: later ones hold a replace directive. */
const goPackage = 'github.com/temporalio/cli/cmd/temporal@v1.5.1';

export type OnProgress = (line: string) => void;

/**
 * The `temporal` command: on the PATH, in Go's bin folder, in our cache, downloaded by the SDK, or built by Go.
 * The last two happen once; `onProgress` says what is being waited for.
 * Errors: `temporal.unreachable` with everything that was tried.
 */
export async function findTemporalExecutable(onProgress: OnProgress): Promise<string> {
  const found = (await installedExecutable()) ?? (await cachedExecutable());
  if (found !== null) return found;
  const failures: string[] = [];
  for (const obtain of [downloadedExecutable, builtExecutable]) {
    try {
      return await obtain(onProgress);
    } catch (error) {
      failures.push(firstLine(error));
    }
  }
  throw new SynclineError(
    'temporal.unreachable',
    `No Temporal server was found, and none could be installed (${failures.join('; ')}). Set TEMPORAL_ADDRESS to a ` +
      `running one, or put the "temporal" command on the PATH (https://docs.temporal.io/cli), or install Go.`,
  );
}

async function installedExecutable(): Promise<string | null> {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  for (const folder of folders) {
    if (await isExecutable(join(folder, 'temporal'))) return join(folder, 'temporal');
  }
  const goPath = await run('go', ['env', 'GOPATH']).then(
    ({ stdout }) => stdout.trim(),
    () => '',
  );
  if (goPath === '') return null;
  const built = join(goPath, 'bin', 'temporal');
  return (await isExecutable(built)) ? built : null;
}

async function cachedExecutable(): Promise<string | null> {
  const cached = cachedPath();
  return (await isExecutable(cached)) ? cached : null;
}

function cachedPath(): string {
  return join(cacheDirectory(), 'bin', 'temporal');
}

const downloadDeadlineMs = 5 * 60_000;

/** The SDK knows where to download and for which platform; it starts the server once, and we keep the file. */
async function downloadedExecutable(onProgress: OnProgress): Promise<string> {
  onProgress('downloading the Temporal server once, about 60 MB …');
  const { TestWorkflowEnvironment } = await import('@temporalio/testing');
  return await intoCache(async (folder) => {
    const executable = { type: 'cached-download', downloadDir: folder } as const;
    const start = TestWorkflowEnvironment.createLocal({ server: { executable, log: quiet } });
    const environment = await Promise.race([start, delay(downloadDeadlineMs, null, { ref: false })]);
    if (environment === null) throw new SynclineError('temporal.unreachable', 'the download took too long');
    await environment.teardown();
    for (const name of await readdir(folder)) {
      if (await isExecutable(join(folder, name))) return name;
    }
    throw new SynclineError('temporal.unreachable', 'the SDK downloaded no executable');
  });
}

const quiet = { format: 'pretty', level: 'error' } as const;

async function builtExecutable(onProgress: OnProgress): Promise<string> {
  onProgress('installing the Temporal server with Go once, about 3 minutes …');
  return await intoCache(async (folder, guardian) => {
    const building = run('go', ['install', goPackage], {
      env: { ...process.env, GOBIN: folder, GOFLAGS: '', CGO_ENABLED: '0' },
      maxBuffer: 64 * 1024 * 1024,
    });
    if (building.child.pid !== undefined) guardian.watch(building.child.pid);
    await building.finally(() => guardian.forget());
    return 'temporal';
  });
}

type Obtain = (folder: string, guardian: Guardian) => Promise<string>;

/** It appears in the cache by a rename: two processes may do this at once, and a kill leaves nothing half. */
async function intoCache(obtain: Obtain): Promise<string> {
  const target = cachedPath();
  await mkdir(join(cacheDirectory(), 'bin'), { recursive: true });
  const folder = await mkdtemp(join(cacheDirectory(), 'obtaining-'));
  const guardian = startGuardian({ signal: 'TERM', directories: [folder] });
  try {
    const name = await obtain(folder, guardian);
    await rename(join(folder, name), target);
    return target;
  } finally {
    await rm(folder, { recursive: true, force: true });
    guardian.dismiss();
  }
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

function firstLine(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message?: string };
  const text = stderr === undefined || stderr.trim() === '' ? (message ?? String(error)) : stderr.trim();
  const lines = text.split('\n');
  return (lines.at(-1) ?? '').slice(0, 200);
}
