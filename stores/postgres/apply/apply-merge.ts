import { canCopy, copyStep } from './copy-direct.ts';
import { insertOf, type KeyedRows } from './keyed-rows.ts';
import {
  completeStaged,
  countUnfilled,
  deleteStaged,
  insertStaged,
  updateStaged,
} from './keyed-statements.ts';
import type { Route } from './route.ts';
import { type Group, op } from './staging.ts';
import { NamedSteps, type Part, type WayTools } from './way.ts';

export interface Shaped {
  readonly route: Route;
  readonly kinds: Uint8Array;
}

/**
 * The way of most tables and batches: what goes is deleted, what stays is updated, what comes is copied in, each kind
 * by one statement whose count tells whether the rows were as the log says. (One MERGE does the same as fast, but
 * does not tell what it met, and 15 refuses it on tables with rules.)
 *
 * It trusts the log: a row that is there and should not be ends it by the key's own index, one that is not there and
 * should be is seen by the count. Then nothing of it may stay, and the careful way comes.
 */
export function mergePart(rows: KeyedRows, { route, kinds }: Shaped, tools: WayTools): Part {
  const direct = canCopy(route, kinds);
  const staged = [...rows.deletes, ...rows.deletesAbsent, ...rows.updates, ...rows.insertsFromBase];
  if (!direct) for (const image of rows.inserts) staged.push(insertOf(image));
  const steps = new NamedSteps(route.target.name);
  let updates = 0;
  if (staged.length > 0) {
    const { steps: stage, group } = tools.stages.stage(route, kinds, staged);
    steps.add('stage', ...stage);
    updates = addStatements(steps, rows, group);
    if (rows.insertsFromBase.length > 0 || (!direct && rows.inserts.length > 0))
      steps.add('insert', ...insertStaged(group, [op.insert], 'all'));
  }
  if (direct && rows.inserts.length > 0) steps.add('copy', copyStep(route, rows.inserts));
  return {
    steps: steps.steps,
    conflicts(results) {
      if (steps.count(results, 'unfilled') > 0) return null;
      if (steps.count(results, 'update') < updates) return null;
      const deletes = Math.max(0, rows.deletes.length - steps.count(results, 'delete'));
      return deletes + steps.count(results, 'deleteAbsent') + steps.count(results, 'insertMissing');
    },
  };
}

/** Answers how many rows are to be updated by a statement that counts them. */
function addStatements(steps: NamedSteps, rows: KeyedRows, group: Group): number {
  if (group.hasBases) {
    steps.add('complete', ...completeStaged(group, false));
    steps.add('unfilled', countUnfilled(group, false));
  }
  if (rows.deletes.length > 0) steps.add('delete', deleteStaged(group, [op.delete]));
  if (rows.deletesAbsent.length > 0) steps.add('deleteAbsent', deleteStaged(group, [op.deleteAbsent]));
  if (rows.updates.length === 0) return 0;
  const update = updateStaged(group, [op.update]);
  if (update === null) {
    steps.add('insertMissing', ...insertStaged(group, [op.update], 'missing'));
    return 0;
  }
  steps.add('update', update);
  return rows.updates.length;
}
