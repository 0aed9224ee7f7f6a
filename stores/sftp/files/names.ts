import { randomBytes } from 'node:crypto';

/** Names that begin with a dot are ours: no object has one, and `list` never shows one. */
const partialPrefix = '.syncline-part-';
const asidePrefix = '.syncline-old-';
const rsyncTempPrefix = '.syncline-rsync-';

/** Where rsync keeps what an ended run had brought already, in the directory of the object itself. */
export const rsyncPartialFolder = '.syncline-partial';

export function newPartialName(): string {
  return `${partialPrefix}${randomBytes(8).toString('hex')}`;
}

/** For an object that steps aside while another takes its name, on servers that cannot exchange at once. */
export function newAsideName(name: string): string {
  return `${asidePrefix}${randomBytes(4).toString('hex')}-${name}`;
}

/** The object that stepped aside; null for any other name. */
export function nameOfAside(name: string): string | null {
  return /^\.syncline-old-[0-9a-f]{8}-(.+)$/.exec(name)?.[1] ?? null;
}

/** The directory that one run of rsync writes into before it renames. */
export function newRsyncTempName(): string {
  return `${rsyncTempPrefix}${randomBytes(8).toString('hex')}`;
}

export function isPartialName(name: string): boolean {
  return name.startsWith(partialPrefix);
}

export function isRsyncFolderName(name: string): boolean {
  return name === rsyncPartialFolder || name.startsWith(rsyncTempPrefix);
}

/** `path` of the store without its last `/`; the root of the server is ''. */
export function rootOf(path: string): string {
  return path.replace(/\/+$/, '');
}

export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

export function baseOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
