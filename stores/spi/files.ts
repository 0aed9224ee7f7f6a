import type { Readable } from 'node:stream';
import { SynclineError } from '../../definitions/errors.ts';

/**
 * Names of objects: `/`-separated segments of letters, digits, `.`, `_`, `-`, `=`, `@` and `+`; no segment is empty,
 * `.`, `..` or begins with a dot (those belong to the store). At most 900 bytes. Checked by `expectSafeKey`.
 */
export type FileKey = string;

export interface FileStat {
  readonly key: FileKey;
  readonly bytes: number;
  /** ISO 8601, by the store's clock; null where the store does not say. */
  readonly changedAt: string | null;
  /** SHA-256 of the whole content, hex, read where the bytes lie when it was asked for; else null. */
  readonly sha256: string | null;
}

export interface WriteFile {
  readonly signal: AbortSignal;
  /** Bytes to come, where known: a store may choose its way by it. */
  readonly bytes?: number;
}

export interface ReadFile {
  readonly signal: AbortSignal;
  /** First byte wanted, from 0. */
  readonly from?: number;
}

export interface StatFile {
  /** Read all bytes again, as near to them as the store can, and hash them. */
  readonly sha256?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * Capability: keeps objects by name. All keys are below the store's own root (directory, bucket and prefix).
 * Errors everywhere: `store.unreachable`, `store.connectionLost`, `store.authentication`, `store.permission`,
 * `store.diskFull`, `store.slowDown`, `store.hostKey`, `files.unsafeKey`. Safe for concurrent use.
 */
export interface FileStore {
  /**
   * Takes a stream in, with back-pressure and bounded memory. The object is visible under `key` whole and durable
   * when the promise resolves, or not at all: never in part. An object of that name is replaced at once.
   * Two writers of one name: one of them wins whole. Aborted or failed: nothing is visible; what is left behind
   * is removed here, or by `sweep` when the process died. A source that fails makes the write fail with its error.
   */
  write(key: FileKey, body: Readable, options: WriteFile): Promise<{ readonly bytes: number }>;
  /** Streams the object from `from` to its end. Throws `files.missing`, before or through the stream. */
  read(key: FileKey, options: ReadFile): Promise<Readable>;
  /** Null when there is none. */
  stat(key: FileKey, options?: StatFile): Promise<FileStat | null>;
  /** Every object whose key begins with `prefix` (a text, not a folder; '' for all), in ascending order of its bytes. */
  list(prefix: string): AsyncIterable<FileStat>;
  /** Idempotent: what is not there is no error. Folders that become empty go too, where there are folders. */
  remove(keys: readonly FileKey[]): Promise<void>;
  /**
   * Removes what unfinished writes below `prefix` left behind (partial files, open uploads) for longer than
   * `olderThanMs`. Returns how many. Never touches an object.
   */
  sweep(prefix: string, olderThanMs: number): Promise<number>;
}

/**
 * Capability: brings many files of a local directory into this store at once, only what differs, by a tool of its own
 * (rsync over ssh). `FileStore` shows the result; whoever asks verifies by hash.
 */
export interface FileMirror {
  /** Whether the tool is there on both ends; else the reason, one sentence. */
  ready(): Promise<{ readonly reason: string | null }>;
  /** `root`: absolute local directory; the keys are the same on both sides. */
  push(request: MirrorFiles): Promise<void>;
}

/** Capability: the objects are plain files of this machine; the file of a key is `root/key`. */
export interface LocalRoot {
  /** Absolute path. Nothing need be there yet. */
  readonly root: string;
}

export interface MirrorFiles {
  readonly root: string;
  readonly keys: readonly FileKey[];
  readonly throttleBytesPerSecond?: number;
  readonly signal: AbortSignal;
}

const safeKey = /^(?!\.)[A-Za-z0-9._=@+-]+(\/(?!\.)[A-Za-z0-9._=@+-]+)*$/;

/** Whether a name may be used: it cannot climb out, hide, or mean something to a shell. */
export function isSafeKey(key: string): boolean {
  return key.length <= 900 && safeKey.test(key);
}

/** Throws `files.unsafeKey` with the name. */
export function expectSafeKey(key: string): void {
  if (!isSafeKey(key)) throw unsafe(key);
}

/** The same for the beginning of a name, as `list` and `sweep` take it; the empty one is safe. */
export function expectSafePrefix(prefix: string): void {
  if (prefix !== '' && !isSafeKey(`${prefix}x`)) throw unsafe(prefix);
}

function unsafe(name: string): SynclineError {
  const shown = JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}…` : name);
  return new SynclineError('files.unsafeKey', `${shown} is not a name that an artifact of syncline has.`);
}
