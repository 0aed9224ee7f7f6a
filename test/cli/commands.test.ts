import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createProgram } from '../../cli/program.ts';
import { cliReference } from '../../cli/reference.ts';
import { runCli } from './run-cli.ts';

const nobody = { TEMPORAL_ADDRESS: '127.0.0.1:1' };

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'syncline-cli-test-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

test('a valid file passes with nothing running', async () => {
  const { code, stdout } = await runCli(['validate', 'examples/copy.yaml', '-o', 'json'], { env: nobody });
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ valid: true, jobs: [{ kind: 'copy', name: 'trades-to-dr' }] });
});

test('every fault of a file is printed with its place, without a stack, and the exit code is 2', async () => {
  const file = join(await folder(), 'bad.yaml');
  await writeFile(
    file,
    'kind: copy\nname: x\nsource: { stor: prod }\ntarget: { store: dr, mode: repalce }\n',
  );
  const { code, stderr } = await runCli(['validate', file]);
  expect(code).toBe(2);
  expect(stderr).toContain(`${file}:3:`);
  expect(stderr).toContain(`${file}:4:`);
  expect(stderr).not.toMatch(/^\s+at /m);
});

test('one bad file of two submits nothing and does not even connect', async () => {
  const file = join(await folder(), 'bad.yaml');
  await writeFile(file, 'kind: copy\n');
  const { code } = await runCli(['run', 'examples/copy.yaml', file], { env: nobody });
  expect(code).toBe(2);
});

test('an unknown command or option is bad usage', async () => {
  expect((await runCli(['copy'])).code).toBe(2);
  expect((await runCli(['status', 'x', '--verbose'])).code).toBe(2);
});

test('without Temporal a command ends with 3, names the address and prints an object with -o json', async () => {
  const { code, stdout, stderr } = await runCli(['status', 'x', '-o', 'json'], { env: nobody });
  expect(code).toBe(3);
  expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'temporal.unreachable' } });
  expect(stderr).toContain('127.0.0.1:1');
  expect(stderr).not.toMatch(/^\s+at /m);
});

test('SYNCLINE_DEBUG=1 shows the stack', async () => {
  const { stderr } = await runCli(['status', 'x'], { env: { ...nobody, SYNCLINE_DEBUG: '1' } });
  expect(stderr).toMatch(/^\s+at /m);
});

test('what init writes is valid, and it writes over nothing', async () => {
  const cwd = await folder();
  expect((await runCli(['init'], { cwd })).code).toBe(0);
  expect((await readdir(cwd)).sort()).toEqual([
    'backup-restore.yaml',
    'copy.yaml',
    'syncline.schema.json',
    'syncline.yaml',
  ]);
  expect((await runCli(['validate', 'copy.yaml', 'backup-restore.yaml'], { cwd })).code).toBe(0);
  const again = await runCli(['init'], { cwd });
  expect(again.code).toBe(2);
  expect(again.stderr).toContain('--force');
});

test('doctor says what is wrong with each part and how to cure it, and shows no password', async () => {
  const cwd = await folder();
  const url = 'postgres://app:hunter22@127.0.0.1:1/db';
  await writeFile(join(cwd, 'syncline.yaml'), 'stores:\n  prod: { kind: postgres, url: "${DOCTOR_URL}" }\n');
  const { code, stdout, stderr } = await runCli(['doctor'], { cwd, env: { ...nobody, DOCTOR_URL: url } });
  expect(code).toBe(3);
  expect(stdout).toMatch(/FAIL {2}temporal: .*\n +cure: /);
  expect(stdout).toMatch(/FAIL {2}store prod: .*\n +cure: /);
  expect(stdout + stderr).not.toContain('hunter22');
});

test('a misspelt fault keeps a worker from starting', async () => {
  const cwd = await folder();
  await writeFile(join(cwd, 'syncline.yaml'), 'stores: {}\n');
  const { code, stderr } = await runCli(['worker'], {
    cwd,
    env: { ...nobody, SYNCLINE_FAULT: 'load.middle:kill' },
  });
  expect(code).toBe(2);
  expect(stderr).toContain('load.mid, load.copied');
});

test('the reference describes every command and option', () => {
  const text = cliReference();
  for (const command of createProgram().commands) {
    expect(text).toContain(`## \`syncline ${command.name()}`);
    for (const option of command.options) expect(text).toContain(option.flags);
  }
});
