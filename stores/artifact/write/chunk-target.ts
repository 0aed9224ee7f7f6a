import { SynclineError } from '../../../definitions/errors.ts';
import type { BeginWriting, ChunkTarget, LoadedUnit, UnitWriting } from '../../spi/chunk-target.ts';
import type { Artifact } from '../artifact.ts';
import { removeAbandoned } from '../load/clean-up.ts';
import { readReceipt, receiptsOf } from '../load/receipts.ts';
import { unitPrefix } from '../objects/layout.ts';
import { findEarlier } from './earlier.ts';
import { ObjectWriting } from './unit-writing.ts';

/** Writes each unit as one object, then its receipt. */
export function createChunkTarget(artifact: Artifact): ChunkTarget {
  return {
    formats: ['binary', 'text', 'csv'],
    takesFramed: true,
    begin: (request) => begin(artifact, request),
    beginFinish: () =>
      Promise.reject(
        new SynclineError('store.unsupported', 'Slices of a backup stay apart: nothing to finish.'),
      ),
    rowsPresent: () => Promise.resolve(0),
    checkReferences: () => Promise.resolve(),
    removeStaging: () => removeAbandoned(artifact, artifact.address.backup),
  };
}

async function begin(
  artifact: Artifact,
  request: BeginWriting,
): Promise<{ readonly loaded: LoadedUnit } | { readonly writing: UnitWriting }> {
  const { ref, unit, plan, attempt } = request;
  const { place } = artifact;
  const backup = artifact.backupOf(ref);
  const underWay = artifact.underWay(backup);
  const { token } = await underWay.expectHead();
  const begun = await underWay.readBegun();
  if (begun === null) return { loaded: await publishedUnit(artifact, backup, unit.ordinal) };
  const loaded = await findLoaded(artifact, backup, { ordinal: unit.ordinal, plan: token });
  if (loaded !== null) return { loaded };
  // An attempt before this one may have been killed while it wrote. Its whole objects stay until publishing: it may be
  // alive after all, and about to say in a receipt that they count.
  if (attempt > 1) await place.sweep(unitPrefix({ backup, chunk: unit.chunk, slice: unit.slice }), 0);
  const earlier = await findEarlier(artifact, begun, { plan, unit });
  return { writing: new ObjectWriting({ artifact, backup, begun, planToken: token, earlier }, request) };
}

/** A unit that comes too late: its backup is published, and holds it. */
async function publishedUnit(artifact: Artifact, backup: string, ordinal: number): Promise<LoadedUnit> {
  if (await artifact.isOver(backup)) {
    const published = await artifact.published(backup);
    for await (const { held } of published.entriesOfUnits(ordinal, ordinal))
      return { rows: held.rows, bytes: held.from === backup ? held.bytes : 0, digest: held.digest };
  }
  throw new SynclineError('job.notFound', `Backup ${backup} is not being made.`);
}

interface UnitOfPlan {
  readonly ordinal: number;
  /** Token. */
  readonly plan: string;
}

/** A receipt counts while its object is there; one that does not is removed, and the unit loaded again. */
async function findLoaded(artifact: Artifact, backup: string, unit: UnitOfPlan): Promise<LoadedUnit | null> {
  const { place } = artifact;
  for (const name of await receiptsOf(place, backup, unit.ordinal)) {
    const { held, object, plan } = await readReceipt(place, name);
    const stat = plan === unit.plan ? await place.stat(object.key) : null;
    if (stat?.bytes === object.storedBytes)
      return { rows: name.rows, bytes: name.bytes, digest: held?.digest ?? null };
    await place.remove([name.key]);
  }
  return null;
}
