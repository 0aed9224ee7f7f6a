import { inGroups } from '../../../planning/in-groups.ts';
import { backupsToPrune } from '../../../planning/keep.ts';
import type { KeepRule } from '../../spi/artifact.ts';
import type { Artifact } from '../artifact.ts';
import { unfinishedLoads } from '../load/clean-up.ts';
import {
  backupFolder,
  backupsPrefix,
  dataPrefix,
  manifestKey,
  partsOf,
  planFolder,
  workFolder,
  workPrefix,
  writerOf,
} from '../objects/layout.ts';
import { mapEach } from '../objects/place.ts';
import { readManifest } from './manifest.ts';
import { namedObjects } from './named-objects.ts';

interface Pruned {
  readonly backups: readonly string[];
  readonly objects: number;
}

/**
 * First all manifests, and the pages of those that stay, are read: as long as one of them cannot be, nothing goes.
 * A manifest goes before its objects, so that a backup that lost one is no backup any more. What was cut off in between
 * is done by the next prune: it looks for what nobody names, not for what somebody once wrote.
 */
export async function prune(artifact: Artifact, keep: KeepRule): Promise<Pruned> {
  if (keep.last === null && keep.days === null) return { backups: [], objects: 0 };
  const { place } = artifact;
  const ids = await artifact.publishedIds();
  const manifests = await mapEach(ids, (backup) => readManifest(place, backup));
  const backups = backupsToPrune(manifests, keep);
  const kept = ids.filter((backup) => !backups.includes(backup));
  const named = await namedObjects(artifact, kept);
  // What is under way may be about to refer to objects that no manifest names any more.
  const isBusy = (await unfinishedLoads(artifact)).length > 0;
  await place.remove(backups.map(manifestKey));
  for (const backup of backups) {
    artifact.forgetRemembered(backup);
    await place.removeBelow(backupFolder(backup));
    await place.removeBelow(planFolder(backup));
  }
  if (isBusy) return { backups, objects: 0 };
  const known = { kept: new Set(kept), named, newest: ids.at(-1) ?? '' };
  await removeLeftovers(artifact, known);
  return { backups, objects: await removeUnnamed(artifact, known) };
}

/** What was there when it was looked at. */
interface Known {
  readonly kept: ReadonlySet<string>;
  readonly named: ReadonlySet<string>;
  /** What later runs have made since is none of ours: an attempt may wake up long after it was given up for dead. */
  readonly newest: string;
}

async function removeUnnamed({ place }: Artifact, { named, newest }: Known): Promise<number> {
  let count = 0;
  for await (const some of inGroups(place.list(dataPrefix), 1_000)) {
    const keys = some
      .map(({ key }) => key)
      .filter((key) => !named.has(key) && (writerOf(key) ?? '') <= newest);
    await place.remove(keys);
    count += keys.length;
  }
  return count;
}

/** Receipts of attempts that came too late, and pages of backups without a manifest. Nothing is under way now. */
async function removeLeftovers({ place }: Artifact, { kept, newest }: Known): Promise<void> {
  const folders = new Set<string>();
  for await (const { key } of place.list(workPrefix)) {
    const parts = partsOf(key);
    if (parts !== null && parts.backup <= newest) folders.add(workFolder(parts.backup));
  }
  for await (const { key } of place.list(backupsPrefix)) {
    const parts = partsOf(key);
    if (parts !== null && parts.backup <= newest && !kept.has(parts.backup))
      folders.add(backupFolder(parts.backup));
  }
  for (const folder of folders) await place.removeBelow(folder);
}
