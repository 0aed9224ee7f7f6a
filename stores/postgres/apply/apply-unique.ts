import type { Shaped } from './apply-merge.ts';
import { insertOf, type KeyedRows } from './keyed-rows.ts';
import { completeStaged, countUnfilled, deleteStaged, insertStaged } from './keyed-statements.ts';
import { rowMissing } from './row-missing.ts';
import { op } from './staging.ts';
import { NamedSteps, type Part, type WayTools } from './way.ts';

/**
 * Rows leave before others come: two of them may exchange the values of a unique or exclusion constraint, which is looked
 * at row by row. Also the only way to a new value of a column that is GENERATED ALWAYS AS IDENTITY. Values that only the
 * target has come along with a row that keeps its key.
 */
export function replacePart(rows: KeyedRows, { route, kinds }: Shaped, tools: WayTools): Part {
  const staged = [
    ...rows.deletes,
    ...rows.deletesAbsent,
    ...rows.updates,
    ...rows.insertsFromBase,
    ...rows.inserts.map(insertOf),
  ];
  const { group, steps: stage } = tools.stages.stage(route, kinds, staged);
  const steps = new NamedSteps(route.target.name);
  steps.add('stage', ...stage);
  if (group.own.length > 0 || staged.some(({ hasUnchanged }) => hasUnchanged)) {
    steps.add('complete', ...completeStaged(group, true));
    steps.add('unfilled', countUnfilled(group, true));
  }
  steps.add('delete', deleteStaged(group, [op.delete]));
  steps.add('deleteAbsent', deleteStaged(group, [op.deleteAbsent]));
  steps.add('deleteUpdated', deleteStaged(group, [op.update]));
  steps.add('deleteInserted', deleteStaged(group, [op.insert]));
  steps.add('insert', ...insertStaged(group, [op.update, op.insert], 'all'));
  return {
    steps: steps.steps,
    conflicts(results) {
      const count = (name: string): number => steps.count(results, name);
      if (count('unfilled') > 0) throw rowMissing(route.target);
      return (
        Math.max(0, rows.deletes.length - count('delete')) +
        count('deleteAbsent') +
        Math.max(0, rows.updates.length - count('deleteUpdated')) +
        count('deleteInserted')
      );
    },
  };
}
