import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { sftpModule } from '../../../stores/sftp/module.ts';
import { newPartialName } from '../../../stores/sftp/files/names.ts';
import { sftpSettings, type SftpSettings } from '../../../stores/sftp/settings.ts';
import type { Store } from '../../../stores/spi/store.ts';
import type { FilesPlace } from '../../conformance/describe-files.ts';
import { type Sshd, type SshdOptions, startSshd } from '../../support/sshd.ts';

let roots = 0;

export interface SftpPlace {
  readonly store: Store;
  /** Where the objects lie: the server's disk is this machine's. */
  readonly root: string;
}

/** Settings for a fresh root on the server, with its key and its host key unless said otherwise. */
export function settingsFor(sshd: Sshd, over: Record<string, unknown> = {}): SftpSettings {
  roots += 1;
  return sftpSettings.parse({
    kind: 'sftp',
    host: sshd.host,
    port: sshd.port,
    user: sshd.user,
    path: join(sshd.folder, 'files', `root ${String(roots)}`, "it's"),
    privateKeyFile: sshd.clientKey.file,
    hostKey: sshd.hostKey,
    ...over,
  });
}

export function openSftp(sshd: Sshd, over: Record<string, unknown> = {}): SftpPlace {
  const settings = settingsFor(sshd, over);
  return { store: sftpModule.open('far', settings), root: settings.path };
}

export async function openFilesPlace(options: SshdOptions = {}): Promise<FilesPlace> {
  const sshd = await startSshd(options);
  const { store, root } = openSftp(sshd);
  return {
    store,
    async abandon(key) {
      const folder = join(root, dirname(key));
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, newPartialName()), 'half of it');
    },
    leftovers: () => leftoversIn(root),
    dispose: async () => {
      await store.close();
      await sshd.close();
    },
  };
}

/** Hidden files and empty directories. */
export async function leftoversIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const inside = await Promise.all(
    entries.map(async (entry) => {
      const path = join(folder, entry.name);
      if (!entry.isDirectory()) return entry.name.startsWith('.') ? [`partial file ${path}`] : [];
      if ((await readdir(path)).length === 0) return [`empty folder ${path}`];
      return await leftoversIn(path);
    }),
  );
  return inside.flat();
}
