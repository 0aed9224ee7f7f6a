import { failure, hasStatus, ServerStatus, status } from '../connection/errors.ts';
import type { Session } from '../connection/session.ts';

interface Room {
  readonly freeBytes: number;
  readonly freeFiles: number;
  readonly readOnly: boolean;
}

interface StatVfs {
  readonly f_frsize: number | bigint;
  readonly f_bavail: number | bigint;
  readonly f_files: number | bigint;
  readonly f_favail: number | bigint;
  readonly f_flag: number | bigint;
}

const readOnlyFlag = 1;
/** Less than this is a full disk: what is left is what the last block did not need. */
const fullBytes = 256 * 1024;

/** Null where the server does not tell, or the path is not there. */
export async function roomAt(session: Session, path: string): Promise<Room | null> {
  try {
    const found = await session.ask<StatVfs>((sftp, done) =>
      sftp.ext_openssh_statvfs(
        path === '' ? '/' : path,
        done as (error: Error | undefined, info: unknown) => void,
      ),
    );
    return {
      freeBytes: Number(found.f_bavail) * Number(found.f_frsize),
      freeFiles: Number(found.f_files) === 0 ? Number.POSITIVE_INFINITY : Number(found.f_favail),
      readOnly: (Number(found.f_flag) & readOnlyFlag) !== 0,
    };
  } catch (error) {
    if (error instanceof ServerStatus) return null;
    throw error;
  }
}

export interface FailedStep {
  /** An existing directory on the disk in question. */
  readonly folder: string;
  /** Whether bytes of an open file were refused: then hardly anything but room can be missing. */
  readonly whileSending: boolean;
}

/** The protocol has one status for a full disk and for whatever else fails: the room that is left tells them apart. */
export async function explainFailure(session: Session, error: unknown, step: FailedStep): Promise<unknown> {
  if (!hasStatus(error, status.failure)) return error;
  const room = await roomAt(session, step.folder).catch(() => null);
  const { store } = session;
  if (room !== null && (room.freeBytes < fullBytes || room.freeFiles === 0)) {
    return failure('store.diskFull', store, {
      sentence: `The disk of store ${store} is full.`,
      cause: error,
    });
  }
  if (room?.readOnly === true) {
    return failure('store.permission', store, {
      sentence: `The disk of store ${store} is mounted read-only.`,
      cause: error,
    });
  }
  if (!step.whileSending) return error;
  return failure('store.diskFull', store, {
    sentence: `The server of store ${store} takes no more bytes: its disk, a quota or a limit is full.`,
    cause: error,
  });
}
