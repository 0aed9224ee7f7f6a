import type { Artifact } from '../artifact.ts';
import { sumUp } from '../load/totals.ts';
import { beginKey, overKey, planFolder, workFolder } from '../objects/layout.ts';

/** What a killed write of the load left; it is over, so none of them is alive. */
const partialAgeMs = 0;

/** After the manifest is there: what people ask later is kept, what was big is not. May be repeated after any crash. */
export async function endLoad(artifact: Artifact, backup: string): Promise<void> {
  const { place } = artifact;
  if (!(await artifact.isOver(backup))) await place.writeJson(overKey(backup), await sumUp(artifact, backup));
  // First what lets a unit begin: without its receipt a late one would be written once more.
  await place.remove([beginKey(backup)]);
  await place.removeBelow(workFolder(backup));
  await place.removeBelow(`${planFolder(backup)}begun-`);
  await place.sweep('', partialAgeMs);
}
