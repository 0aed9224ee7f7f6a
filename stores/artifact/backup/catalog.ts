import { SynclineError } from '../../../definitions/errors.ts';
import type { BackupCatalog, BackupSummary, StoredObject } from '../../spi/artifact.ts';
import type { Artifact } from '../artifact.ts';
import { expectBackupId, manifestKey } from '../objects/layout.ts';
import { mapEach, type Place } from '../objects/place.ts';
import type { Entry } from './entry.ts';
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

interface Span {
  readonly after: number;
  readonly limit: number;
}

/** The rows in the order of their units, then the pages, then the schema. */
async function objects(artifact: Artifact, backup: string, { after, limit }: Span): Promise<StoredObject[]> {
  const published = await artifact.published(backup);
  const { manifest, entryCount } = published;
  const found: StoredObject[] = [];
  let ordinal = after;
  for await (const entry of published.entries(after, Math.max(0, Math.min(limit, entryCount - after))))
    found.push(objectOf(entry, (ordinal += 1)));
  const own = [...manifest.pages, manifest.schema];
  const from = Math.max(0, after - entryCount);
  for (const { key, storedBytes, sha256 } of own.slice(from, from + limit - found.length))
    found.push({ ordinal: (ordinal += 1), key, bytes: storedBytes, sha256, chunk: null });
  return found;
}

function objectOf({ chunk, held }: Entry, ordinal: number): StoredObject {
  const { key, storedBytes, sha256 } = held.object;
  return { ordinal, key, bytes: storedBytes, sha256, chunk };
}
