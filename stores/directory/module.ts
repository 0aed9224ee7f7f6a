import { StreamsUnderWay } from '../spi/streams.ts';
import type { Store, StoreModule } from '../spi/store.ts';
import { checkDirectory } from './check.ts';
import { DirectoryFiles } from './directory-files.ts';
import { Folders } from './folders.ts';
import { type DirectorySettings, directorySettings } from './settings.ts';

/** A directory of the worker's machine: a disk, a mounted share, a medium that is carried away. */
export const directoryModule: StoreModule<DirectorySettings> = {
  kind: 'directory',
  settings: directorySettings,
  open: openDirectory,
};

function openDirectory(name: string, settings: DirectorySettings): Store {
  const folders = new Folders(name, settings.path);
  const streams = new StreamsUnderWay(name);
  return {
    kind: 'directory',
    name,
    capabilities: {
      files: new DirectoryFiles(folders, streams),
      localRoot: { root: folders.root },
    },
    ...(settings.encryption === undefined ? {} : { encryption: settings.encryption }),
    check: () => checkDirectory(folders),
    close: () => {
      streams.close();
      return Promise.resolve();
    },
  };
}
