import type { Shaped } from './apply-merge.ts';
import { insertOf, type KeyedRows } from './keyed-rows.ts';
import {
  completeStaged,
  countIncomplete,
  countUnfilled,
  deleteStaged,
  insertStaged,
  updateStaged,
} from './keyed-statements.ts';
import { rowMissing } from './row-missing.ts';
import { op } from './staging.ts';
import { NamedSteps, type Part, type WayTools } from './way.ts';

/**
 * Takes rows as they are: whether one is there decides between update and insert, not what the log says of it. Slower,
 * as every row goes through staging and is looked up twice; the target has been written to by somebody else.
 */
export function carefulPart(rows: KeyedRows, { route, kinds }: Shaped, tools: WayTools): Part {
  const { group, steps: stage } = tools.stages.stage(route, kinds, [
    ...rows.deletes,
    ...rows.deletesAbsent,
    ...rows.updates,
    ...rows.insertsFromBase,
    ...rows.inserts.map(insertOf),
  ]);
  const steps = new NamedSteps(route.target.name);
  steps.add('stage', ...stage);
  if (group.hasBases) {
    steps.add('complete', ...completeStaged(group, false));
    steps.add('unfilled', countUnfilled(group, false));
  }
  steps.add('incomplete', countIncomplete(group, [op.update]));
  steps.add('delete', deleteStaged(group, [op.delete]));
  steps.add('deleteAbsent', deleteStaged(group, [op.deleteAbsent]));
  const update = updateStaged(group, [op.update, op.insert]);
  if (update !== null) steps.add('update', update);
  steps.add('updateMissing', ...insertStaged(group, [op.update], 'missing'));
  steps.add('insert', ...insertStaged(group, [op.insert], 'missing'));
  const inserts = rows.inserts.length + rows.insertsFromBase.length;
  return {
    steps: steps.steps,
    conflicts(results) {
      const count = (name: string): number => steps.count(results, name);
      if (count('unfilled') + count('incomplete') > 0) throw rowMissing(route.target);
      return (
        Math.max(0, rows.deletes.length - count('delete')) +
        count('deleteAbsent') +
        count('updateMissing') +
        (inserts - count('insert'))
      );
    },
  };
}
