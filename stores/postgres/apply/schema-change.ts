import { SynclineError } from '../../../definitions/errors.ts';
import type { AppliedLeaf } from '../../spi/log-target.ts';
import type { LogRelation } from '../../spi/log.ts';
import { displayName } from '../identifiers.ts';
import type { Target } from './route.ts';

/** Every column that is carried must be on both sides: a renamed one would be lost without a word. */
export function checkColumns(relation: LogRelation, leaf: AppliedLeaf, target: Target): void {
  const inLog = new Set(relation.columns.map(({ name }) => name));
  for (const column of leaf.columns) {
    if (!inLog.has(column)) throw changed(relation, { column, side: 'source', table: target.name });
    if (!target.facts.columns.has(column))
      throw changed(relation, { column, side: 'target', table: target.name });
  }
}

interface MissingColumn {
  readonly column: string;
  readonly side: 'source' | 'target';
  readonly table: string;
}

function changed(relation: LogRelation, { column, side, table }: MissingColumn): SynclineError {
  const where =
    side === 'target' ? `its target ${table} has none of that name` : 'the source no longer has it';
  return new SynclineError(
    'log.schemaChanged',
    `Column ${column} of ${displayName(relation.name)} is carried, but ${where}.`,
    { details: { table, column } },
  );
}
