import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where things that take minutes to fetch are kept for the next time: `~/.cache/syncline` unless XDG says otherwise. */
export function cacheDirectory(): string {
  const base = process.env['XDG_CACHE_HOME'];
  return join(base === undefined || base === '' ? join(homedir(), '.cache') : base, 'syncline');
}
