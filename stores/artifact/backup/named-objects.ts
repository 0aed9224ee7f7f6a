import type { Artifact } from '../artifact.ts';
import { objectsOf } from './entry.ts';
import { PublishedBackup } from './published-backup.ts';

/**
 * Every object with rows that one of these backups names. Each is read whole and afresh, and held against its own sums:
 * what cannot be read names something nobody knows, so then it throws.
 */
export async function namedObjects(
  { place }: Artifact,
  backups: readonly string[],
): Promise<ReadonlySet<string>> {
  const named = new Set<string>();
  for (const backup of backups) {
    const published = await PublishedBackup.open(place, backup);
    await published.verify();
    for await (const entry of published.entries(0, published.entryCount))
      for (const { key } of objectsOf(entry)) named.add(key);
  }
  return named;
}
