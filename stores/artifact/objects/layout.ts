import { createHash, randomUUID } from 'node:crypto';
import { SynclineError } from '../../../definitions/errors.ts';
import { expectSafeKey, type FileKey } from '../../spi/files.ts';

/** Where what lies below the path of a job's backups. docs/artifact-format.md says it for people. */

export const ownerKey = 'owner.json';
export const watermarkKey = 'state/watermark.json';
export const backupsPrefix = 'backups/';
export const dataPrefix = 'data/';
export const workPrefix = 'work/';

const idPattern = /^[A-Za-z0-9][A-Za-z0-9-]{0,79}$/;

/** A backup's id is a folder of its own and the beginning of its objects' names. Throws `files.unsafeKey`. */
export function expectBackupId(backup: string): void {
  if (!isBackupId(backup)) expectSafeKey(`!${backup}`);
}

export function isBackupId(text: string): boolean {
  return idPattern.test(text);
}

export const manifestKey = (backup: string): FileKey => `${backupsPrefix}${backup}/manifest.json`;
export const backupFolder = (backup: string): string => `${backupsPrefix}${backup}/`;
/** What is big while a load is under way: pages of its plan, receipts. Gone after it. */
export const workFolder = (backup: string): string => `${workPrefix}${backup}/`;
export const donePrefix = (backup: string): string => `${workFolder(backup)}done/`;

/** What is small: how a load began, the head of its plan, what was set aside, its sums at the end. */
export const plansPrefix = 'plans/';
export const planFolder = (backup: string): string => `${plansPrefix}${backup}/`;
export const beginKey = (backup: string): FileKey => `${planFolder(backup)}begin.json`;
export const snapshotKey = (backup: string): FileKey => `${planFolder(backup)}snapshot.json`;
/** Where the log of a backup at a cut begins, and what the cut made of its units. */
export const notedLogKey = (backup: string): FileKey => `${planFolder(backup)}log.json`;
export const cutKey = (backup: string): FileKey => `${planFolder(backup)}cut.json`;
export const planKey = (backup: string): FileKey => `${planFolder(backup)}plan.json`;
export const overKey = (backup: string): FileKey => `${planFolder(backup)}over.json`;
export const deadPrefix = (backup: string): string => `${planFolder(backup)}dead/`;
export const deadKey = (backup: string, ordinal: number): FileKey =>
  `${deadPrefix(backup)}${ordinalText(ordinal)}.json`;

/** `<folder>/<backup>/<rest>`; null for what is not of that form. */
export function partsOf(key: FileKey): { readonly backup: string; readonly rest: string } | null {
  const [, backup = '', ...rest] = key.split('/');
  return isBackupId(backup) && rest.length > 0 ? { backup, rest: rest.join('/') } : null;
}

/** Two processes that write the same thing never write the same object: whoever publishes names its own. */
export function newToken(): string {
  return randomUUID().replaceAll('-', '').slice(0, 12);
}

export function numbered(number: number): string {
  return String(number).padStart(6, '0');
}

export function ordinalText(ordinal: number): string {
  return String(ordinal).padStart(9, '0');
}

/** Units of one page of a plan, and of one folder of receipts. */
export const pageUnits = 1_000;

export function pageOf(ordinal: number): number {
  return Math.floor((ordinal - 1) / pageUnits) + 1;
}

export interface NamedObject {
  readonly job: string;
  readonly backup: string;
  readonly chunk: string;
  readonly slice: number;
  readonly token: string;
}

/**
 * Name of the object of one unit: what it holds, who made it, and a hash with the attempt's token in it. An attempt that
 * was given up for dead may still be writing; it must not write into the object of the next one.
 */
export function objectKey(object: NamedObject): FileKey {
  const { job, backup, chunk, slice, token } = object;
  const hash = createHash('sha256')
    .update(JSON.stringify([job, backup, chunk, slice, token]))
    .digest('hex');
  return `${unitPrefix(object)}${hash.slice(0, 16)}`;
}

/** All objects and partial files of one unit of one backup begin so. */
export function unitPrefix({
  backup,
  chunk,
  slice,
}: Pick<NamedObject, 'backup' | 'chunk' | 'slice'>): string {
  return `${dataPrefix}${chunkFolder(chunk)}/${backup}.${String(slice).padStart(4, '0')}.`;
}

/** The backup whose load wrote the object; null for a name that no backup gives. */
export function writerOf(key: FileKey): string | null {
  const [root, , name, more] = key.split('/');
  if (root !== 'data' || name === undefined || more !== undefined) return null;
  const backup = name.slice(0, Math.max(0, name.indexOf('.')));
  return isBackupId(backup) ? backup : null;
}

/** Longest name of a folder that every file system takes is 255 bytes. */
const longestFolder = 200;

/** A chunk's name with everything unusual as `=HH`; a very long one gives way to a hash at its end. */
export function chunkFolder(chunk: string): string {
  let name = '';
  for (const char of chunk) {
    if (/^[A-Za-z0-9._-]$/.test(char) && !(name === '' && char === '.')) name += char;
    else for (const byte of Buffer.from(char)) name += `=${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  if (name.length <= longestFolder) return name;
  const hash = createHash('sha256').update(chunk).digest('hex').slice(0, 16);
  return `${name.slice(0, longestFolder - 17)}+${hash}`;
}

/** A key that a manifest names as data. Throws `files.unsafeKey`, or `artifact.corrupt` outside `data/`. */
export function expectDataKey(key: string): void {
  expectSafeKey(key);
  if (writerOf(key) === null)
    throw new SynclineError('artifact.corrupt', `A manifest names ${key} as an object with rows.`);
}
