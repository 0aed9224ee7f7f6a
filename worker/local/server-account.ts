import { execFileSync } from 'node:child_process';
import { chown, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/** PostgreSQL refuses to run as root; then its servers run under this account and own their directories. */
export interface ServerAccount {
  readonly uid: number;
  readonly gid: number;
}

const nobody = 65_534;

/** Null when the current user can run PostgreSQL itself. */
export function serverAccount(): ServerAccount | null {
  if (process.geteuid?.() !== 0) return null;
  return { uid: idOf('-u'), gid: idOf('-g') };
}

function idOf(flag: '-u' | '-g'): number {
  try {
    const id = Number(
      execFileSync('id', [flag, 'nobody'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
    );
    return Number.isInteger(id) && id > 0 ? id : nobody;
  } catch {
    return nobody;
  }
}

export async function giveTo(account: ServerAccount | null, ...paths: readonly string[]): Promise<void> {
  if (account === null) return;
  for (const path of paths) await chown(path, account.uid, account.gid);
}

/** Whether everybody may walk down to this directory and list it. */
export async function isOpenToAll(directory: string): Promise<boolean> {
  let current = resolve(directory);
  let wanted = 0o005;
  for (;;) {
    const { mode } = await stat(current);
    if ((mode & wanted) !== wanted) return false;
    const parent = dirname(current);
    if (parent === current) return true;
    current = parent;
    wanted = 0o001;
  }
}
