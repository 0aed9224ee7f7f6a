import { z } from 'zod';
import type { SkippedChunk } from '../../../definitions/contracts/status.ts';
import { isErrorCode } from '../../../definitions/errors.ts';
import type { DeadLetters } from '../../spi/load-ledger.ts';
import type { Artifact } from '../artifact.ts';
import { deadKey, deadPrefix } from '../objects/layout.ts';
import { mapEach } from '../objects/place.ts';
import { countShape } from '../objects/sealed.ts';

const letterShape = z.strictObject({
  ordinal: countShape,
  chunk: z.string(),
  slice: countShape,
  code: z.string(),
  message: z.string(),
});

export function createDeadLetters(artifact: Artifact): DeadLetters {
  const { place } = artifact;
  return {
    async put(ref, failure) {
      const backup = artifact.backupOf(ref);
      const { ordinal, chunk, code, message } = failure;
      let slice = 0;
      for await (const unit of artifact.underWay(backup).units(ordinal, ordinal)) slice = unit.slice;
      await place.writeJson(deadKey(backup, ordinal), { ordinal, chunk, slice, code, message });
    },
    async clear(ref, ordinal) {
      await place.remove([deadKey(artifact.backupOf(ref), ordinal)]);
    },
    list: (ref, limit) => readDeadLetters(artifact, artifact.backupOf(ref), { after: 0, limit }),
  };
}

export interface DeadLetterSpan {
  readonly after: number;
  readonly limit: number;
}

/** In the order of the plan. */
export async function readDeadLetters(
  { place }: Artifact,
  backup: string,
  { after, limit }: DeadLetterSpan,
): Promise<SkippedChunk[]> {
  const keys: string[] = [];
  for await (const { key } of place.list(deadPrefix(backup))) {
    if (ordinalOf(key) <= after) continue;
    if (keys.length >= limit) break;
    keys.push(key);
  }
  const letters = await mapEach(keys, (key) => place.readJson(key, letterShape));
  return letters.flatMap((letter) =>
    letter === null
      ? []
      : [{ ...letter, code: isErrorCode(letter.code) ? letter.code : 'internal.unexpected' }],
  );
}

/** Ordinals only, from the names. */
export async function deadOrdinals({ place }: Artifact, backup: string): Promise<Set<number>> {
  const ordinals = new Set<number>();
  for await (const { key } of place.list(deadPrefix(backup))) ordinals.add(ordinalOf(key));
  return ordinals;
}

function ordinalOf(key: string): number {
  return Number(/(\d+)\.json$/.exec(key)?.[1] ?? 0);
}
