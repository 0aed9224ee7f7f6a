import type { Readable } from 'node:stream';
import { hasStatus, status, translateStatus } from '../connection/errors.ts';
import type { Session } from '../connection/session.ts';
import type { Sessions } from '../connection/sessions.ts';
import { blocksAhead, blocksOf } from './blocks.ts';
import { makeFolders, pruneFolders, unlinkFile } from './folders.ts';
import { newPartialName, parentOf } from './names.ts';
import { renameOver } from './rename-over.ts';
import { explainFailure } from './room.ts';

/** Tidying up may not hold back the error for long; what it does not reach is left to the next write or to `sweep`. */
const tidyMs = 5_000;

/** Writes objects of one store, each into a hidden file beside its place that is renamed when all of it is on disk. */
export class ObjectWriter {
  private readonly sessions: Sessions;
  private readonly root: string;
  /** Partial files that a lost connection left behind. */
  private readonly leftBehind = new Set<string>();

  constructor(sessions: Sessions, root: string) {
    this.sessions = sessions;
    this.root = root;
  }

  async write(key: string, body: Readable, signal: AbortSignal): Promise<{ readonly bytes: number }> {
    // Before the first await: the source may fail before anybody reads it.
    body.on('error', () => undefined);
    try {
      const { session, release } = await this.sessions.hold(signal);
      try {
        await this.tidy(session);
        return await this.writeOver(session, { path: `${this.root}/${key}`, body, signal });
      } catch (error) {
        throw translateStatus(error, { store: this.sessions.store, doing: `writing ${key}` });
      } finally {
        release();
      }
    } finally {
      body.destroy();
    }
  }

  private async writeOver(
    session: Session,
    { path, body, signal }: Writing,
  ): Promise<{ readonly bytes: number }> {
    const partial = await this.openPartial(session, parentOf(path), signal);
    try {
      const bytes = await this.sendAll(session, partial, { path, body, signal });
      signal.throwIfAborted();
      await renameOver(session, partial.path, path);
      // The new name is in the file system's journal together with the file, and goes to disk with it.
      await syncFile(session, partial.handle);
      await closeHandle(session, partial.handle);
      return { bytes };
    } catch (error) {
      const reason = await explainFailure(session, error, { folder: parentOf(path), whileSending: false });
      await this.discard(session, partial);
      throw reason;
    }
  }

  private async sendAll(
    session: Session,
    { handle }: Partial,
    { path, body, signal }: Writing,
  ): Promise<number> {
    try {
      const bytes = await send(session, { handle, body, signal });
      // Bytes first: a name must never stand for less than its content, whenever the machine stops.
      await syncFile(session, handle);
      return bytes;
    } catch (error) {
      throw await explainFailure(session, error, { folder: parentOf(path), whileSending: true });
    }
  }

  private async openPartial(session: Session, folder: string, signal: AbortSignal): Promise<Partial> {
    const path = `${folder}/${newPartialName()}`;
    // Once more for each time that somebody removes the directory because it was empty just then.
    for (let attempt = 1; ; attempt += 1) {
      try {
        const handle = await session.ask<Buffer>((sftp, done) => sftp.open(path, 'wx', done), {
          signal,
          late: (opened) => void this.discard(session, { path, handle: opened }),
        });
        return { path, handle };
      } catch (error) {
        if (!hasStatus(error, status.missing) || attempt > 100) throw await this.explained(session, error);
        await makeFolders(session, folder).catch(async (failed: unknown) => {
          throw await this.explained(session, failed);
        });
      }
    }
  }

  private async explained(session: Session, error: unknown): Promise<unknown> {
    return await explainFailure(session, error, { folder: this.root, whileSending: false });
  }

  private async discard(session: Session, { path, handle }: Partial): Promise<void> {
    const signal = AbortSignal.timeout(tidyMs);
    this.leftBehind.add(path);
    try {
      await closeHandle(session, handle, signal).catch(() => undefined);
      await unlinkFile(session, path, signal);
      this.leftBehind.delete(path);
      await pruneFolders(session, parentOf(path), this.root);
    } catch {
      // The failure that led here is the one to tell.
    }
  }

  private async tidy(session: Session): Promise<void> {
    for (const path of [...this.leftBehind]) {
      this.leftBehind.delete(path);
      await unlinkFile(session, path).catch(() => undefined);
    }
  }
}

interface Writing {
  readonly path: string;
  readonly body: Readable;
  readonly signal: AbortSignal;
}

interface Partial {
  readonly path: string;
  readonly handle: Buffer;
}

interface Sending {
  readonly handle: Buffer;
  readonly body: Readable;
  readonly signal: AbortSignal;
}

/** Keeps `blocksAhead` requests under way. The first failure ends the source, which may be silent just then. */
async function send(session: Session, { handle, body, signal }: Sending): Promise<number> {
  const underWay = new Set<Promise<void>>();
  let failed: { readonly error: unknown } | null = null;
  const fail = (error: unknown): void => {
    failed ??= { error };
    body.destroy();
  };
  const stops = [signal, session.lost];
  const onStop = (): void => fail(stops.find(({ aborted }) => aborted)?.reason);
  for (const stop of stops) stop.addEventListener('abort', onStop, { once: true });
  if (stops.some(({ aborted }) => aborted)) onStop();
  let position = 0;
  try {
    for await (const block of blocksOf(body)) {
      const at = position;
      position += block.length;
      const written = session
        .ask<unknown>((sftp, done) => sftp.write(handle, block, 0, block.length, at, done as () => void), {
          signal,
        })
        .then(() => undefined, fail)
        .finally(() => underWay.delete(written));
      underWay.add(written);
      if (underWay.size >= blocksAhead) await Promise.race(underWay);
      if (isSet(failed)) break;
    }
  } catch (error) {
    failed ??= { error };
  } finally {
    for (const stop of stops) stop.removeEventListener('abort', onStop);
  }
  await Promise.all(underWay);
  if (isSet(failed)) throw failed.error;
  return position;
}

/** A function, because assignments in callbacks are not seen by the compiler. */
function isSet(failed: { readonly error: unknown } | null): failed is { readonly error: unknown } {
  return failed !== null;
}

/** Does nothing where the server cannot: then its own close is all there is. */
async function syncFile(session: Session, handle: Buffer): Promise<void> {
  try {
    await session.ask<unknown>((sftp, done) => sftp.ext_openssh_fsync(handle, done as () => void));
  } catch (error) {
    if (!hasStatus(error, status.unsupported)) throw error;
  }
}

async function closeHandle(session: Session, handle: Buffer, signal?: AbortSignal): Promise<void> {
  await session.ask<unknown>(
    (sftp, done) => sftp.close(handle, done as () => void),
    signal === undefined ? {} : { signal },
  );
}
