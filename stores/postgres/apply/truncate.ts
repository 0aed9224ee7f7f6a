import { SynclineError } from '../../../definitions/errors.ts';
import type { TruncateChange } from '../../spi/log.ts';
import { displayName } from '../identifiers.ts';
import { rangeCondition } from '../load/rows-of-unit.ts';
import type { Step } from './message.ts';
import type { Route } from './route.ts';

/**
 * A leaf is emptied: alone, never with what hangs on it. Its rows are deleted instead where only some ranges of keys are
 * meant, where other leaves share its table, and where a foreign key points at it (TRUNCATE is refused then).
 */
export function truncateStep(route: Route, change: TruncateChange): Step {
  const { target, leaf } = route;
  const conditions: string[] = [];
  if (change.ranges !== undefined) conditions.push(anyOf(change.ranges.map(rangeCondition)));
  if (leaf.bound !== undefined && leaf.bound !== null) conditions.push(`(${leaf.bound})`);
  else if (route.isShared) throw cannotTell(route);
  const whole = conditions.length === 0;
  const text =
    whole && !target.facts.isReferenced
      ? `TRUNCATE ${target.reach}`
      : `DELETE FROM ${target.reach}${whole ? '' : ` WHERE ${conditions.join(' AND ')}`}`;
  return { text, table: target.name };
}

function anyOf(ranges: readonly (readonly string[])[]): string {
  if (ranges.length === 0) return 'false';
  return `(${ranges.map((range) => (range.length === 0 ? 'true' : `(${range.join(' AND ')})`)).join(' OR ')})`;
}

function cannotTell({ leaf, target }: Route): SynclineError {
  return new SynclineError(
    'target.replaceRefused',
    `${displayName(leaf.source)} was emptied on the source, but its table ${target.name} holds rows of other partitions too, which nobody can tell apart.`,
    { details: { table: target.name } },
  );
}
