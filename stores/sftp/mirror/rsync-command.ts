import { rsyncPartialFolder } from '../files/names.ts';
import { hostAlias } from './ssh-setup.ts';

export interface RsyncOptions {
  /** Absolute local directory. */
  readonly from: string;
  /** Root on the server, without its last `/`. */
  readonly to: string;
  /** Directory on the server for files that are not whole yet. */
  readonly temporary: string;
  readonly throttleBytesPerSecond?: number | undefined;
  /** Whether both versions can write through to the disk. */
  readonly sync: boolean;
}

/** Counts as rsync tells them. */
export interface Pushed {
  /** Files whose content was brought. */
  readonly files: number;
  /** Their size together. */
  readonly bytes: number;
}

/**
 * `--checksum`: content decides what differs, never size and time, or a damaged object would be taken for the right one
 * for ever. The names come NUL-separated over standard input, the paths of the server over the connection
 * (`--secluded-args`, its short form is known to old versions): no shell reads either.
 */
export function rsyncArguments(options: RsyncOptions): string[] {
  const { from, to, temporary, throttleBytesPerSecond, sync } = options;
  const kibibytes = Math.max(1, Math.floor((throttleBytesPerSecond ?? 0) / 1024));
  return [
    '--files-from=-',
    '--from0',
    '--checksum',
    '--stats',
    '-s',
    '--rsh=ssh -F config',
    `--partial-dir=${rsyncPartialFolder}`,
    `--temp-dir=${temporary}`,
    ...(sync ? ['--fsync'] : []),
    ...(throttleBytesPerSecond === undefined ? [] : [`--bwlimit=${String(kibibytes)}`]),
    '--',
    `${from.replace(/\/+$/, '')}/`,
    `${hostAlias}:${to}/`,
  ];
}

export function pushedIn(output: string): Pushed {
  const count = (label: string): number => {
    const found = new RegExp(`^${label}: ([\\d,]+)`, 'm').exec(output)?.[1];
    return Number((found ?? '0').replaceAll(',', ''));
  };
  return {
    files: count('Number of (?:regular )?files transferred'),
    bytes: count('Total transferred file size'),
  };
}

/** `[3, 2, 7]` of `rsync  version 3.2.7  protocol version 31`; null when something else spoke. */
export function parseRsyncVersion(output: string): readonly [number, number, number] | null {
  const found = /^rsync\s+version\s+v?(\d+)\.(\d+)\.(\d+)/m.exec(output);
  return found === null ? null : [Number(found[1]), Number(found[2]), Number(found[3])];
}

/** `--fsync` came with 3.2.4. */
export function syncsFiles([major, minor, patch]: readonly [number, number, number]): boolean {
  return major * 1_000_000 + minor * 1_000 + patch >= 3_002_004;
}
