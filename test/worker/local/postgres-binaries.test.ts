import { chmod, lstat, mkdir, mkdtemp, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { restoreLinks } from '../../../worker/local/postgres-binaries.ts';
import { isOpenToAll } from '../../../worker/local/server-account.ts';

describe('the installed server binaries', () => {
  let folder = '';
  let native = '';

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'syncline-binaries-'));
    native = join(folder, 'native');
    await mkdir(join(native, 'lib'), { recursive: true });
    await writeFile(join(native, 'lib', 'libpq.so.5.18'), '');
    const links = ['native/lib/libpq.so', 'native/lib/libpq.so.5'];
    const list = links.map((target) => ({ source: 'native/lib/libpq.so.5.18', target }));
    await writeFile(join(native, 'pg-symlinks.json'), JSON.stringify(list));
  });

  afterEach(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  it('get back the library links that npm left out, by many processes at once', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => restoreLinks(native)));
    expect(answers).not.toContain(false);
    expect(await readlink(join(native, 'lib', 'libpq.so'))).toBe('libpq.so.5.18');
    expect(await readlink(join(native, 'lib', 'libpq.so.5'))).toBe('libpq.so.5.18');
  });

  it('keep the links they have', async () => {
    await symlink('elsewhere', join(native, 'lib', 'libpq.so'));
    expect(await restoreLinks(native)).toBe(true);
    expect(await readlink(join(native, 'lib', 'libpq.so'))).toBe('elsewhere');
    expect((await lstat(join(native, 'lib', 'libpq.so.5'))).isSymbolicLink()).toBe(true);
  });

  it('are reachable for another account only if every folder above them is open', async () => {
    await chmod(folder, 0o755);
    await chmod(native, 0o755);
    expect(await isOpenToAll(native)).toBe(true);
    await chmod(folder, 0o711);
    expect(await isOpenToAll(native)).toBe(true);
    await chmod(folder, 0o700);
    expect(await isOpenToAll(native)).toBe(false);
  });
});
