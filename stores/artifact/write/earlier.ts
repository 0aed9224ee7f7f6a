import { SynclineError, type ErrorCode } from '../../../definitions/errors.ts';
import { keyIdOf } from '../codec/keys.ts';
import type { BeginWriting } from '../../spi/chunk-target.ts';
import type { TablePlan } from '../../spi/chunk-source.ts';
import type { ContentMark } from '../../spi/rows.ts';
import { displayName } from '../../spi/tables.ts';
import type { Artifact } from '../artifact.ts';
import type { HeldRows } from '../backup/entry.ts';
import type { PublishedBackup } from '../backup/published-backup.ts';
import type { Begun } from '../load/backup-under-way.ts';

/** What a backup before this one holds of a unit, if it may be referred to. */
export interface EarlierRows {
  readonly held: HeldRows;
  readonly content: ContentMark;
}

/**
 * The same rows in the same form, under the key of today, and the object still there with its size. Whoever turns
 * encryption on, or takes another key, gets everything anew.
 */
export async function findEarlier(
  artifact: Artifact,
  begun: Begun,
  { plan, unit }: Pick<BeginWriting, 'plan' | 'unit'>,
): Promise<EarlierRows | null> {
  const base = await openBase(artifact, begun.basedOn);
  if (base === null) return null;
  const tables = await base.tables();
  const name = displayName(plan.source);
  const table = tables.find((candidate) => displayName(candidate.definition.name) === name);
  if (table === undefined || !isSameForm(table.plan, plan)) return null;
  const entry = await base.entryOf(unit.sourceLeaf, unit.slice);
  if (entry === null || JSON.stringify(entry.range) !== JSON.stringify(unit.range)) return null;
  const { held } = entry;
  const keyId = begun.encrypt ? keyIdOf(artifact.place.key()) : null;
  if (held.content === null || held.object.keyId !== keyId) return null;
  const stat = await artifact.place.stat(held.object.key);
  return stat?.bytes === held.object.storedBytes ? { held, content: held.content } : null;
}

function isSameForm(one: TablePlan, other: TablePlan): boolean {
  const form = ({ columns, format, where, window }: TablePlan): string =>
    JSON.stringify([columns, format, where, window]);
  return form(one) === form(other);
}

/** Codes that say that the earlier backup is no good. */
const unusable: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'artifact.missing',
  'artifact.corrupt',
  'artifact.newerFormat',
  'artifact.wrongKey',
  'files.unsafeKey',
]);

/** An earlier backup that cannot be read must not keep a new one from being made: then all rows are written. */
async function openBase(artifact: Artifact, basedOn: string | null): Promise<PublishedBackup | null> {
  if (basedOn === null) return null;
  try {
    const base = await artifact.published(basedOn);
    await base.verify();
    return base;
  } catch (error) {
    if (error instanceof SynclineError && unusable.has(error.code)) return null;
    throw error;
  }
}
