import { execFile, spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, rename, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { onlyTemporal, type ProcessEnvironment } from '../../worker/local/temporal-environment.ts';
import { uniqueJobName } from '../support/temporal.ts';
import { type Desk, openDesk } from './lab/desk.ts';

// What `npm pack` makes, unpacked as an installation has it; only its dependencies are those of the checkout.
const run = promisify(execFile);
const repository = fileURLToPath(new URL('../..', import.meta.url));
const leftOut = ['node_modules', 'dist', '.git', '.cache', '.syncline'];
let folder: string;
let installed: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'syncline-package-'));
  const checkout = join(folder, 'checkout');
  await cp(repository, checkout, { recursive: true, filter: (path) => !leftOut.includes(basename(path)) });
  await symlink(join(repository, 'node_modules'), join(checkout, 'node_modules'));
  await run('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: checkout });
  const archive = (await readdir(folder)).find((name) => name.endsWith('.tgz')) ?? '';
  const modules = join(folder, 'app', 'node_modules');
  await mkdir(modules, { recursive: true });
  for (const name of await readdir(join(repository, 'node_modules'))) {
    if (!name.startsWith('.')) await symlink(join(repository, 'node_modules', name), join(modules, name));
  }
  await run('tar', ['-xzf', join(folder, archive), '-C', modules]);
  installed = join(modules, 'syncline');
  await rename(join(modules, 'package'), installed);
  // A whole build, beside other tests.
});

afterAll(() => rm(folder, { recursive: true, force: true }));

async function syncline(args: readonly string[], env?: ProcessEnvironment): Promise<string> {
  const options = { cwd: join(folder, 'app'), ...(env === undefined ? {} : { env: { ...env } }) };
  return (await run(join(installed, 'dist/cli/main.js'), [...args], options)).stdout;
}

test('the package runs by its name, makes the first files and finds them valid', async () => {
  expect(await syncline(['--version'])).toMatch(/^\d+\.\d+\.\d+\n$/);
  await syncline(['init']);
  expect(await syncline(['validate', 'copy.yaml'])).toContain('no errors');
});

test('its worker takes the bundle that came with it, and copies', async () => {
  // Without its sources nothing could be bundled when a worker starts.
  await rm(join(installed, 'dist/workflows/index.js'));
  const desk: Desk = await openDesk();
  onTestFinished(() => desk.end());
  await desk.source.query(
    'CREATE TABLE public.packed (id int PRIMARY KEY); INSERT INTO public.packed SELECT generate_series(1, 500)',
  );
  const env = await onlyTemporal(desk.temporalAddress, folder);
  const worker = spawn(join(installed, 'dist/cli/main.js'), ['worker', '--config', desk.config], {
    env: { ...env },
    stdio: 'ignore',
  });
  const ended = new Promise((resolve) => worker.once('close', resolve));
  onTestFinished(async () => {
    worker.kill('SIGKILL');
    await ended;
  });
  const name = uniqueJobName('packed');
  const file = await desk.write(
    `${name}.yaml`,
    `kind: copy\nname: ${name}\nsource: { store: source, tables: [public.packed] }\ntarget: { store: target, createTables: true }\n`,
  );
  const printed = await syncline(['run', file, '--wait', '-o', 'json', '--config', desk.config], env);
  expect(JSON.parse(printed)).toMatchObject({ name, state: 'done', rows: 500 });
  worker.kill('SIGTERM');
  expect(await ended).toBe(0);
});
