import { SynclineError } from '../../../definitions/errors.ts';
import type { BackupCatalog, BackupSummary, StoredObject } from '../../spi/artifact.ts';
import type { Artifact } from '../artifact.ts';
import { expectBackupId, manifestKey } from '../objects/layout.ts';
import { mapEach, type Place } from '../objects/place.ts';
import type { StoredRef } from '../objects/sealed.ts';
import { readManifest, summaryOf } from './manifest.ts';
import { prune } from './prune.ts';

export function createCatalog(artifact: Artifact): BackupCatalog {
  return {
    list: () => list(artifact),
    async read(backup) {
      expectBackupId(backup);
      // Afresh: it may have been pruned, or changed, since it was last looked at.
      return summaryOf(await readManifest(artifact.place, backup));
    },
    async plans(backup) {
      return (await (await artifact.published(backup)).tables()).map((table) => table.plan);
    },
    objects: (backup, after, limit) => objects(artifact, backup, { after, limit }),
    prune: (keep) => prune(artifact, keep),
  };
}

type Listed = Awaited<ReturnType<BackupCatalog['list']>>;
type Broken = Listed['broken'][number];

async function list(artifact: Artifact): Promise<Listed> {
  const ids = await artifact.publishedIds();
  const found = await mapEach(ids, (backup) => look(artifact.place, backup));
  const backups: BackupSummary[] = [];
  const broken: Broken[] = [];
  for (const one of found.reverse()) {
    if (one === null) continue;
    if ('code' in one) broken.push(one);
    else backups.push(one);
  }
  return { backups, broken };
}

/** Null when it was pruned meanwhile. A store that does not answer is an error of its own. */
async function look(place: Place, backup: string): Promise<BackupSummary | Broken | null> {
  try {
    return summaryOf(await readManifest(place, backup));
  } catch (error) {
    if (!(error instanceof SynclineError) || !/^(artifact|files)\./.test(error.code)) throw error;
    if (error.code === 'artifact.missing' && (await place.stat(manifestKey(backup))) === null) return null;
    return { backup, code: error.code, message: error.message };
  }
}

type Stored = Pick<StoredRef, 'key' | 'storedBytes' | 'sha256'>;

interface Span {
  readonly after: number;
  readonly limit: number;
}

/** The rows in the order of their units, then what changed of them, two objects each, then the pages, then the schema. */
async function objects(artifact: Artifact, backup: string, { after, limit }: Span): Promise<StoredObject[]> {
  const published = await artifact.published(backup);
  const { manifest, entryCount } = published;
  const found: StoredObject[] = [];
  let ordinal = after;
  const add = ({ key, storedBytes, sha256 }: Stored, chunk: string | null): void => {
    found.push({ ordinal: (ordinal += 1), key, bytes: storedBytes, sha256, chunk });
  };
  for await (const { chunk, held } of published.entries(
    after,
    Math.max(0, Math.min(limit, entryCount - after)),
  ))
    add(held.object, chunk);
  const changed = await published.changedEntries();
  while (found.length < limit && ordinal < entryCount + 2 * changed.length) {
    const at = ordinal - entryCount;
    for await (const { chunk, held } of published.entries(changed[at >> 1] ?? 0, 1))
      if (held.changes !== undefined) add(at % 2 === 0 ? held.changes.keys : held.changes.rows, chunk);
  }
  const own = [...manifest.pages, manifest.schema];
  const from = Math.max(0, after - entryCount - 2 * changed.length);
  for (const object of own.slice(from, from + limit - found.length)) add(object, null);
  return found;
}
