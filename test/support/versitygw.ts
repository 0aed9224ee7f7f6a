import { execFile, spawn } from 'node:child_process';
import { access, constants, mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { cacheDirectory } from '../../worker/local/cache-directory.ts';
import { findFreePort } from '../../worker/local/free-port.ts';
import { type Guardian, startGuardian } from '../../worker/local/guardian.ts';
import { eventually } from './eventually.ts';

const run = promisify(execFile);

const goPackage = 'github.com/versity/versitygw/cmd/versitygw@v1.8.0';

/**
 * The S3 server of the tests: named by VERSITYGW, on the PATH, in Go's bin folder, in our cache, or built by Go once.
 * Without any of them it is an error that says what to do: tests are not skipped.
 */
export async function findVersitygw(onProgress: (line: string) => void): Promise<string> {
  const named = process.env['VERSITYGW'] ?? '';
  if (named !== '') {
    if (await isExecutable(named)) return named;
    throw new Error(`VERSITYGW names ${named}, which is not an executable file.`);
  }
  for (const folder of await folders()) {
    if (await isExecutable(join(folder, 'versitygw'))) return join(folder, 'versitygw');
  }
  try {
    onProgress('building the S3 server of the tests with Go once, about a minute …');
    return await build();
  } catch (error) {
    throw new Error(
      'No S3 server for the tests was found, and Go could not build one. Put the "versitygw" command on the PATH ' +
        `(https://github.com/versity/versitygw), name it by VERSITYGW, or install Go, which runs "go install ${goPackage}".`,
      { cause: error },
    );
  }
}

async function folders(): Promise<string[]> {
  const path = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const goPath = await run('go', ['env', 'GOPATH']).then(
    ({ stdout }) => stdout.trim(),
    () => '',
  );
  return [...path, ...(goPath === '' ? [] : [join(goPath, 'bin')]), join(cacheDirectory(), 'bin')];
}

/** It appears in the cache by a rename: two may build at once, and a kill leaves nothing half. */
async function build(): Promise<string> {
  await mkdir(join(cacheDirectory(), 'bin'), { recursive: true });
  const folder = await mkdtemp(join(cacheDirectory(), 'obtaining-'));
  const guardian = startGuardian({ signal: 'TERM', directories: [folder] });
  try {
    const env = { ...process.env, GOBIN: folder, GOFLAGS: '', CGO_ENABLED: '0' };
    const building = run('go', ['install', goPackage], { env, maxBuffer: 64 * 1024 * 1024 });
    if (building.child.pid !== undefined) guardian.watch(building.child.pid);
    await building.finally(() => guardian.forget());
    const built = join(cacheDirectory(), 'bin', 'versitygw');
    await rename(join(folder, 'versitygw'), built);
    return built;
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

export interface S3Server {
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly bucket: string;
  /** Directory that holds the bucket's objects as files. */
  readonly directory: string;
  stop(): Promise<void>;
}

/** A server of its own over a fresh directory, with one bucket. */
export async function startS3Server(executable: string): Promise<S3Server> {
  const folder = await mkdtemp(join(tmpdir(), 'syncline-s3-'));
  const guardian = startGuardian({ signal: 'KILL', directories: [folder] });
  try {
    return await startIn(folder, { executable, guardian });
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

interface Surroundings {
  readonly executable: string;
  readonly guardian: Guardian;
}

async function startIn(folder: string, { executable, guardian }: Surroundings): Promise<S3Server> {
  const [objects, sidecar] = [join(folder, 'objects'), join(folder, 'sidecar')];
  await Promise.all([objects, sidecar].map((path) => mkdir(path)));
  const port = await findFreePort();
  const keys = { accessKeyId: 'testaccesskey', secretAccessKey: 'test-secret-of-nobody' };
  const env = {
    ...process.env,
    ROOT_ACCESS_KEY: keys.accessKeyId,
    ROOT_SECRET_KEY: keys.secretAccessKey,
  };
  const options = ['--port', `127.0.0.1:${String(port)}`, '--quiet', 'posix', '--sidecar', sidecar, objects];
  const server = spawn(executable, options, { env, stdio: 'ignore' });
  if (server.pid !== undefined) guardian.watch(server.pid);
  const ended = new Promise<void>((resolve) => server.once('exit', () => resolve()));
  const endpoint = `http://127.0.0.1:${String(port)}`;
  const bucket = 'vault';
  await makeBucket({ endpoint, ...keys, bucket });
  return {
    endpoint,
    ...keys,
    bucket,
    directory: join(objects, bucket),
    async stop() {
      server.kill('SIGKILL');
      await ended;
      guardian.forget();
      await rm(folder, { recursive: true, force: true });
      guardian.dismiss();
    },
  };
}

async function makeBucket(server: Pick<S3Server, 'endpoint' | 'accessKeyId' | 'secretAccessKey' | 'bucket'>) {
  const { CreateBucketCommand, S3Client } = await import('@aws-sdk/client-s3');
  const { endpoint, accessKeyId, secretAccessKey, bucket } = server;
  const client = new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
    maxAttempts: 1,
  });
  await eventually(() => client.send(new CreateBucketCommand({ Bucket: bucket })), {
    waitingFor: 'an answer of the S3 server',
  });
  client.destroy();
}
