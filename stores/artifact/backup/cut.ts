import { z } from 'zod';
import { SynclineError } from '../../../definitions/errors.ts';
import type { NotedLog } from '../../spi/artifact.ts';
import type { SnapshotMark } from '../../spi/rows.ts';
import type { Artifact } from '../artifact.ts';
import { cutKey } from '../objects/layout.ts';
import { countShape, readLines, refOf, storedRefShape } from '../objects/sealed.ts';
import { type HeldRows, heldRowsShape } from './entry.ts';
import { markShape } from './shapes.ts';

/** What the cut of a backup wrote: which units are not what their receipts say, in an object of its own. */

export const notedLogShape: z.ZodType<NotedLog> = z.strictObject({
  start: z.strictObject({
    position: z.string().regex(/^[0-9a-f]{16}$/),
    systemId: z.string().max(100),
    timeline: countShape,
  }),
  mark: markShape,
});

export const cutShape = z.strictObject({ mark: markShape, units: storedRefShape });

export const unitAtCutShape = z.strictObject({ ordinal: countShape, held: heldRowsShape });

/** The one instant of a backup, and the units that are another than they were read as. */
export interface UnitsAtCut {
  readonly mark: SnapshotMark;
  readonly held: ReadonlyMap<number, HeldRows>;
}

export async function expectCut({ place }: Artifact, backup: string): Promise<UnitsAtCut> {
  const cut = await place.readJson(cutKey(backup), cutShape);
  if (cut === null)
    throw new SynclineError('internal.unexpected', `Backup ${backup} was not brought to one instant.`);
  const units = await readLines(place, refOf(cut.units), unitAtCutShape);
  return { mark: cut.mark, held: new Map(units.map(({ ordinal, held }) => [ordinal, held])) };
}
