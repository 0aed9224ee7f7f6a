import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { directoryModule } from '../../../stores/directory/module.ts';
import { partialNameOf } from '../../../stores/directory/folders.ts';
import type { FilesPlace } from '../../conformance/describe-files.ts';

export interface DirectoryPlace extends FilesPlace {
  readonly root: string;
}

/** A directory store whose root is not there yet. */
export async function openDirectoryPlace(): Promise<DirectoryPlace> {
  const base = await mkdtemp(join(tmpdir(), 'syncline-directory-'));
  const root = join(base, 'made', 'later');
  return {
    root,
    store: directoryModule.open('disk', { kind: 'directory', path: root }),
    async abandon(key) {
      const path = join(root, key);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(join(dirname(path), partialNameOf(key, '0123456789abcdef')), 'half of it');
    },
    leftovers: () => leftoversIn(root),
    dispose: () => rm(base, { recursive: true, force: true }),
  };
}

async function leftoversIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const inside = await Promise.all(
    entries.map(async (entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        const empty = (await readdir(path)).length === 0;
        return empty ? [`empty folder ${path}`] : await leftoversIn(path);
      }
      return entry.name.startsWith('.') ? [`partial file ${path}`] : [];
    }),
  );
  return inside.flat();
}
