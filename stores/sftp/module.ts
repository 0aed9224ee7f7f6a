import type { Capabilities, Store, StoreHealth, StoreModule } from '../spi/store.ts';
import { hasStatus, ServerStatus, status } from './connection/errors.ts';
import type { Session } from './connection/session.ts';
import { Sessions } from './connection/sessions.ts';
import { SftpFiles } from './files/file-store.ts';
import { entriesOf } from './files/folders.ts';
import { newPartialName, parentOf, rootOf } from './files/names.ts';
import { roomAt } from './files/room.ts';
import { RsyncMirror } from './mirror/rsync-mirror.ts';
import { type SftpSettings, sftpSettings } from './settings.ts';

/** A directory of a server that is reached over ssh: objects by SFTP, many at once by rsync. */
export const sftpModule: StoreModule<SftpSettings> = {
  kind: 'sftp',
  settings: sftpSettings,
  open: openSftp,
};

function openSftp(name: string, settings: SftpSettings): Store {
  const sessions = new Sessions(name, settings);
  const root = rootOf(settings.path);
  const capabilities: Partial<Capabilities> = {
    files: new SftpFiles(sessions, root),
    ...(settings.rsync ? { fileMirror: new RsyncMirror(sessions, settings) } : {}),
  };
  return {
    kind: 'sftp',
    name,
    capabilities,
    ...(settings.encryption === undefined ? {} : { encryption: settings.encryption }),
    check: () => sessions.use('checking the store', (session) => checkStore(session, root)),
    close: () => sessions.close(),
  };
}

const notAtOnce =
  'The server lacks posix-rename@openssh.com: while an object is replaced, it is not there for an instant.';

async function checkStore(session: Session, root: string): Promise<StoreHealth> {
  const startedAt = performance.now();
  const room = await roomAt(session, root);
  const latencyMs = performance.now() - startedAt;
  const there = (await entriesOf(session, root)) !== null;
  const free = room ?? (there ? null : await roomAbove(session, root));
  return {
    version: `SFTP by ${session.software === '' ? 'an unnamed server' : session.software}`,
    latencyMs,
    warnings: [
      ...(there ? [] : ['The directory is not there yet; the first write makes it.']),
      ...((await replacesAtOnce(session, root)) ? [] : [notAtOnce]),
    ],
    ...(free === null ? {} : { freeBytes: free.freeBytes }),
  };
}

/** The room of the nearest directory that is there. */
async function roomAbove(session: Session, path: string): Promise<Awaited<ReturnType<typeof roomAt>>> {
  for (let folder = parentOf(path); ; folder = parentOf(folder)) {
    const found = await roomAt(session, folder);
    if (found !== null || folder === '') return found;
  }
}

/** Asks for what cannot be done: only a server that knows the request says why. */
async function replacesAtOnce(session: Session, root: string): Promise<boolean> {
  const [from, to] = [`${root}/${newPartialName()}`, `${root}/${newPartialName()}`];
  try {
    await session.ask<unknown>((sftp, done) => sftp.ext_openssh_rename(from, to, done as () => void));
    return true;
  } catch (error) {
    if (!(error instanceof ServerStatus)) throw error;
    return !hasStatus(error, status.unsupported);
  }
}
