import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findTemporalExecutable } from '../../../worker/local/temporal-executable.ts';

describe('the Temporal executable', () => {
  const before = { ...process.env };
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'syncline-executable-'));
    process.env['XDG_CACHE_HOME'] = join(folder, 'cache');
    process.env['PATH'] = join(folder, 'path');
  });

  afterEach(async () => {
    process.env = { ...before };
    await rm(folder, { recursive: true, force: true });
  });

  async function executable(path: string, text = ''): Promise<string> {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
    await chmod(path, 0o755);
    return path;
  }

  function unexpected(line: string): never {
    throw new Error(`Nothing is to be installed: ${line}`);
  }

  it('on the PATH comes first, then the one in the folder of Go, then the one in our cache', async () => {
    const cached = await executable(join(folder, 'cache', 'syncline', 'bin', 'temporal'));
    expect(await findTemporalExecutable(unexpected)).toBe(cached);
    await executable(join(folder, 'path', 'go'), `#!/bin/sh\necho '${folder}/gopath'\n`);
    const built = await executable(join(folder, 'gopath', 'bin', 'temporal'));
    expect(await findTemporalExecutable(unexpected)).toBe(built);
    const onPath = await executable(join(folder, 'path', 'temporal'));
    expect(await findTemporalExecutable(unexpected)).toBe(onPath);
  });

  it('is not a folder of that name, nor a file that cannot be run', async () => {
    const cached = await executable(join(folder, 'cache', 'syncline', 'bin', 'temporal'));
    await mkdir(join(folder, 'path', 'temporal'), { recursive: true });
    await executable(join(folder, 'path', 'go'), `#!/bin/sh\necho '${folder}/gopath'\n`);
    await mkdir(join(folder, 'gopath', 'bin'), { recursive: true });
    await writeFile(join(folder, 'gopath', 'bin', 'temporal'), '');
    await chmod(join(folder, 'gopath', 'bin', 'temporal'), 0o644);
    expect(await findTemporalExecutable(unexpected)).toBe(cached);
  });
});
