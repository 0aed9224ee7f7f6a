import type { Readable } from 'node:stream';
import type { Stats } from 'ssh2';
import { failure, hasStatus, ServerStatus, status, translateStatus } from '../connection/errors.ts';
import type { Session } from '../connection/session.ts';
import type { Sessions } from '../connection/sessions.ts';
import { ObjectStream } from './object-stream.ts';

export interface ReadRequest {
  readonly root: string;
  readonly key: string;
  readonly from: number;
  readonly signal?: AbortSignal | undefined;
}

/** The open object as a stream. Throws `files.missing` before there is one. */
export async function readObject(sessions: Sessions, request: ReadRequest): Promise<Readable> {
  const { key, from, signal } = request;
  const held = await sessions.hold(signal);
  try {
    const { handle, bytes } = await openObject(held.session, request);
    return new ObjectStream({ held, handle, key, from: Math.min(from, bytes), end: bytes, signal });
  } catch (error) {
    held.release();
    throw translateStatus(error, { store: sessions.store, doing: `reading ${key}` });
  }
}

async function openObject(
  session: Session,
  request: ReadRequest,
): Promise<{ handle: Buffer; bytes: number }> {
  const { root, key, signal } = request;
  const options = signal === undefined ? {} : { signal };
  const close = (handle: Buffer): void => {
    session.ask<unknown>((sftp, done) => sftp.close(handle, done as () => void)).catch(() => undefined);
  };
  let handle: Buffer;
  try {
    handle = await session.ask<Buffer>((sftp, done) => sftp.open(`${root}/${key}`, 'r', done), {
      ...options,
      late: close,
    });
  } catch (error) {
    if (hasStatus(error, status.missing)) throw missing(session.store, key);
    // Some servers refuse to open a directory, with a status that says nothing.
    if (error instanceof ServerStatus && (await isFolder(session, `${root}/${key}`))) {
      throw missing(session.store, key);
    }
    throw error;
  }
  try {
    const stats = await session.ask<Stats>((sftp, done) => sftp.fstat(handle, done), options);
    if (!stats.isFile()) throw missing(session.store, key);
    return { handle, bytes: stats.size };
  } catch (error) {
    close(handle);
    throw error;
  }
}

async function isFolder(session: Session, path: string): Promise<boolean> {
  const stats = await session.ask<Stats>((sftp, done) => sftp.stat(path, done)).catch(() => null);
  return stats?.isDirectory() === true;
}

function missing(store: string, key: string): Error {
  return failure('files.missing', store, { sentence: `There is no object ${key} in store ${store}.` });
}
