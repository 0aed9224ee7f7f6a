import type { Session } from '../connection/session.ts';
import { hasStatus, status } from '../connection/errors.ts';
import { entriesOf, type Entry, entryOf, pruneFolders, unlinkFile } from './folders.ts';
import { isPartialName, isRsyncFolderName, nameOfAside, newPartialName } from './names.ts';
import { isSafeKey } from '../../spi/files.ts';

export interface Sweep {
  readonly root: string;
  readonly prefix: string;
  readonly olderThanMs: number;
}

/**
 * Removes what is left of unfinished writes in directories whose name begins with the prefix, our own and rsync's, when
 * it has not changed for so long by the server's clock. Partial files do not tell which object they were to be.
 */
export async function sweepPartials(session: Session, sweep: Sweep): Promise<number> {
  const sweeper = new Sweeper(session, sweep);
  await sweeper.walk(sweep.prefix.slice(0, sweep.prefix.lastIndexOf('/') + 1));
  return sweeper.removed;
}

class Sweeper {
  removed = 0;
  private readonly session: Session;
  private readonly sweep: Sweep;
  private clockMs: number | null = null;

  constructor(session: Session, sweep: Sweep) {
    this.session = session;
    this.sweep = sweep;
  }

  /** `folder`: '' or a name that ends with `/`. */
  async walk(folder: string): Promise<void> {
    const { root, prefix } = this.sweep;
    const path = `${root}/${folder}`.replace(/\/+$/, '');
    const entries = (await entriesOf(this.session, path)) ?? [];
    const inside = folder.startsWith(prefix);
    let gone = 0;
    for (const entry of entries) {
      const key = `${folder}${entry.name}`;
      if (entry.type === 'folder' && isSafeKey(key)) {
        if (`${key}/`.startsWith(prefix)) await this.walk(`${key}/`);
      } else if (inside && entry.type === 'folder' && isRsyncFolderName(entry.name)) {
        await this.sweepRsyncFolder(`${path}/${entry.name}`);
        gone += 1;
      } else if (inside && entry.type === 'file' && (await this.isOld(entry))) {
        gone += Number(await this.sweepFile(path, entry.name));
      }
    }
    if (gone > 0) await pruneFolders(this.session, path, root);
  }

  private async sweepFile(folder: string, name: string): Promise<boolean> {
    const aside = nameOfAside(name);
    if (aside === null && !isPartialName(name)) return false;
    if (aside !== null && (await entryOf(this.session, `${folder}/${aside}`)) === null) {
      await this.session.ask<unknown>((sftp, done) =>
        sftp.rename(`${folder}/${name}`, `${folder}/${aside}`, done as () => void),
      );
      return false;
    }
    if (!(await unlinkFile(this.session, `${folder}/${name}`))) return false;
    this.removed += 1;
    return true;
  }

  /** Files that rsync had not finished; the directory itself goes with the last one. */
  private async sweepRsyncFolder(path: string): Promise<void> {
    for (const entry of (await entriesOf(this.session, path)) ?? []) {
      if (entry.type !== 'file' || !(await this.isOld(entry))) continue;
      if (await unlinkFile(this.session, `${path}/${entry.name}`)) this.removed += 1;
    }
    const folder = await entryOf(this.session, path);
    if (folder === null || !(await this.isOld(folder))) return;
    await this.session
      .ask<unknown>((sftp, done) => sftp.rmdir(path, done as () => void))
      .catch((error: unknown) => {
        if (!hasStatus(error, status.failure) && !hasStatus(error, status.missing)) throw error;
      });
  }

  private async isOld(entry: Entry): Promise<boolean> {
    if (this.sweep.olderThanMs <= 0) return true;
    this.clockMs ??= await this.serverClock();
    return this.clockMs - entry.changedAtMs >= this.sweep.olderThanMs;
  }

  /** The protocol does not tell the time; a file that is made now does. */
  private async serverClock(): Promise<number> {
    const path = `${this.sweep.root}/${newPartialName()}`;
    const handle = await this.session.ask<Buffer>((sftp, done) => sftp.open(path, 'wx', done));
    try {
      return (await entryOf(this.session, path))?.changedAtMs ?? 0;
    } finally {
      await this.session.ask<unknown>((sftp, done) => sftp.close(handle, done as () => void));
      await unlinkFile(this.session, path);
    }
  }
}
