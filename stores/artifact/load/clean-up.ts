import { SynclineError } from '../../../definitions/errors.ts';
import { inGroups } from '../../../planning/in-groups.ts';
import type { Artifact } from '../artifact.ts';
import { namedObjects } from '../backup/named-objects.ts';
import {
  backupFolder,
  dataPrefix,
  ownerKey,
  partsOf,
  planFolder,
  plansPrefix,
  workFolder,
  writerOf,
} from '../objects/layout.ts';

/** What a killed write left is older than this, unless the process is still at it. */
const partialAgeMs = 60 * 60 * 1000;

/** Loads with a plan, or the beginning of one, that were never published. */
export async function unfinishedLoads(artifact: Artifact): Promise<string[]> {
  const found = new Map<string, boolean>();
  for await (const { key } of artifact.place.list(plansPrefix)) {
    const parts = partsOf(key);
    if (parts === null) continue;
    const isOver = parts.rest === 'over.json' || found.get(parts.backup) === true;
    found.set(parts.backup, isOver);
  }
  const published = new Set(await artifact.publishedIds());
  return [...found].filter(([backup, isOver]) => !isOver && !published.has(backup)).map(([backup]) => backup);
}

/**
 * Before a new plan: loads that were given up and will never be published, with the objects that they wrote, and partial
 * files. `except` is the load about to begin. Returns how many objects went.
 */
export async function removeAbandoned(artifact: Artifact, except: string | null): Promise<number> {
  const abandoned = (await unfinishedLoads(artifact)).filter((backup) => backup !== except);
  let count = await removeUnpublishedObjects(artifact, new Set(abandoned));
  for (const backup of abandoned) {
    // Pages that were written, or brought here, for a manifest that never came.
    count += await artifact.place.removeBelow(backupFolder(backup));
    count += await removeLoad(artifact, backup);
  }
  return count + (await artifact.place.sweep('', partialAgeMs));
}

/** The folder that says the load is there goes last, so that a clean-up that was cut off is found again. */
async function removeLoad(artifact: Artifact, backup: string): Promise<number> {
  const count = await artifact.place.removeBelow(workFolder(backup));
  artifact.forgetRemembered(backup);
  return count + (await artifact.place.removeBelow(planFolder(backup)));
}

/**
 * What these loads wrote or brought here and no manifest names. Another backup may have come here by a transfer and name
 * objects of one that never did, so all manifests are read first; where one cannot be read, nothing goes.
 */
async function removeUnpublishedObjects(artifact: Artifact, backups: ReadonlySet<string>): Promise<number> {
  if (backups.size === 0) return 0;
  let named: ReadonlySet<string>;
  try {
    named = await namedObjects(artifact, await artifact.publishedIds());
  } catch (error) {
    if (error instanceof SynclineError && /^(artifact|files)\./.test(error.code)) return 0;
    throw error;
  }
  let count = 0;
  for await (const some of inGroups(artifact.place.list(dataPrefix), 1_000)) {
    const keys = some
      .map(({ key }) => key)
      .filter((key) => backups.has(writerOf(key) ?? '') && !named.has(key));
    await artifact.place.remove(keys);
    count += keys.length;
  }
  return count;
}

/** Everything about the job but its published backups, and how far they reach. */
export async function forgetJob(artifact: Artifact, job: string): Promise<void> {
  const { place } = artifact;
  if ((await artifact.owner()) !== job) return;
  await removeAbandoned(artifact, null);
  for (const backup of await loadsRemembered(artifact)) await removeLoad(artifact, backup);
  await place.sweep('', 0);
  if ((await artifact.publishedIds()).length === 0) await place.remove([ownerKey]);
}

async function loadsRemembered(artifact: Artifact): Promise<string[]> {
  const backups = new Set<string>();
  for await (const { key } of artifact.place.list(plansPrefix)) {
    const parts = partsOf(key);
    if (parts !== null) backups.add(parts.backup);
  }
  return [...backups];
}
