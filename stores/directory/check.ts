import { access, constants, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { SynclineError } from '../../definitions/errors.ts';
import type { StoreHealth } from '../spi/store.ts';
import { directoryError, isAbsence, systemCodeOf } from './errors.ts';
import type { Folders } from './folders.ts';

export async function checkDirectory({ store, root }: Folders): Promise<StoreHealth> {
  const startedAt = performance.now();
  try {
    const existing = await nearest(root);
    if (!(await stat(existing)).isDirectory()) {
      throw new SynclineError('store.permission', `Store ${store}: ${existing} is not a directory.`, {
        details: { store },
      });
    }
    await access(existing, constants.R_OK | constants.X_OK);
    const space = await statfs(existing);
    const warnings = existing === root ? [] : [`${root} is not there yet; the first write creates it.`];
    if (!(await isWritable(existing)))
      warnings.push(`${existing} may not be written: it can be read from only.`);
    return {
      version: 'directory',
      latencyMs: performance.now() - startedAt,
      warnings,
      freeBytes: space.bavail * space.bsize,
    };
  } catch (error) {
    throw directoryError(error, { store, key: '' });
  }
}

async function nearest(path: string): Promise<string> {
  try {
    await stat(path);
    return path;
  } catch (error) {
    if (!isAbsence(error) || dirname(path) === path) throw error;
    return await nearest(dirname(path));
  }
}

async function isWritable(path: string): Promise<boolean> {
  try {
    await access(path, constants.W_OK);
    return true;
  } catch (error) {
    if (['EACCES', 'EROFS', 'EPERM'].includes(systemCodeOf(error))) return false;
    throw error;
  }
}
