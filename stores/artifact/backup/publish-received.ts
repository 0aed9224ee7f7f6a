import type { Readable } from 'node:stream';
import { SynclineError } from '../../../definitions/errors.ts';
import { inGroups } from '../../../planning/in-groups.ts';
import type { BackupSummary } from '../../spi/artifact.ts';
import type { Artifact } from '../artifact.ts';
import { readReceipt, type ReceiptContent } from '../load/receipts.ts';
import { manifestKey } from '../objects/layout.ts';
import { collect, mapEach } from '../objects/place.ts';
import { endLoad } from './end-load.ts';
import { objectsOf } from './entry.ts';
import { type Manifest, parseManifest, summaryOf } from './manifest.ts';
import { PublishedBackup } from './published-backup.ts';
import { SeenObjects, unitsDone } from './units-done.ts';

const maxManifestBytes = 64 * 1024 * 1024;

/**
 * Takes over the manifest of another place, byte by byte, after everything it names has arrived. Without the key the
 * pages cannot be read and the seal cannot be held against it: such a place keeps backups and cannot vouch for them, so
 * it is refused.
 */
export async function publishReceived(
  artifact: Artifact,
  backup: string,
  bytes: Readable,
): Promise<BackupSummary> {
  const { place } = artifact;
  const content = await collect(bytes, maxManifestBytes, place.full(manifestKey(backup)));
  const manifest = parseManifest(content, { place, backup });
  const seen = await SeenObjects.of(place);
  await expectReceipts(artifact, manifest, seen);
  const published = PublishedBackup.of(place, manifest);
  await published.verify();
  for await (const entry of published.entries(0, published.entryCount))
    for (const object of objectsOf(entry)) seen.expect(place, object);
  await artifact.underWay(backup).expectStillThere();
  await place.writeSmall(manifestKey(backup), content);
  await endLoad(artifact, backup);
  artifact.forgetRemembered(backup);
  return summaryOf(manifest);
}

/** One object each, and none set aside: a backup that lacks one is no backup. */
async function expectReceipts(artifact: Artifact, manifest: Manifest, seen: SeenObjects): Promise<void> {
  const underWay = artifact.underWay(manifest.backup);
  const received = new Map<string, ReceiptContent['object']>();
  const own = [...manifest.pages, manifest.schema];
  const ownKeys = new Set(own.map(({ key }) => key));
  for await (const group of inGroups(unitsDone(artifact, underWay, seen), 1_000)) {
    if (group.some(({ receipt }) => receipt === null)) throw incomplete(artifact, manifest);
    const contents = await mapEach(group, ({ receipt }) =>
      receipt === null ? Promise.resolve(null) : readReceipt(artifact.place, receipt),
    );
    for (const [index, content] of contents.entries()) {
      if (content === null) continue;
      const { object } = content;
      received.set(object.key, object);
      const isThere = ownKeys.has(object.key) ? await isStored(artifact, object) : seen.has(object);
      // A receipt without its object goes, so that a retry brings it anew.
      if (!isThere)
        await artifact.place.remove([group[index]?.receipt?.key ?? ''].filter((key) => key !== ''));
    }
  }
  const entries = manifest.pages.reduce((sum, page) => sum + page.entries, 0);
  const isWhole =
    received.size === entries + 2 * (manifest.changedUnits ?? 0) + own.length &&
    own.every(({ key, storedBytes, sha256 }) => {
      const object = received.get(key);
      return object?.storedBytes === storedBytes && object.sha256 === sha256;
    });
  if (!isWhole) throw incomplete(artifact, manifest);
}

async function isStored({ place }: Artifact, object: ReceiptContent['object']): Promise<boolean> {
  return (await place.stat(object.key))?.bytes === object.storedBytes;
}

function incomplete({ place }: Artifact, { backup }: Manifest): SynclineError {
  return new SynclineError(
    'artifact.missing',
    `Backup ${backup} has not arrived whole at ${place.path} of store ${place.store}: it is not published there.`,
  );
}
