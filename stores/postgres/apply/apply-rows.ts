import { quoteIdent } from '../identifiers.ts';
import { canCopy, copyStep } from './copy-direct.ts';
import type { RowsFold } from './fold-rows.ts';
import { insertOf } from './keyed-rows.ts';
import { insertStaged } from './keyed-statements.ts';
import type { Step } from './message.ts';
import type { Route } from './route.ts';
import { type Group, op, type StagedRow } from './staging.ts';
import { NamedSteps, type Part, type WayTools } from './way.ts';

/**
 * Tables without a key: of equal rows as many are deleted as went at the source, whichever they are. Equal means the same
 * image, so that NULLs are equal and types without an equality of their own are no matter.
 */
export function rowsPart(fold: RowsFold, tools: WayTools): Part {
  const { route, kinds } = fold;
  const steps = new NamedSteps(route.target.name);
  if (route.columns.length === 0) return emptyRowsPart(fold, steps);
  const { deletes } = fold;
  const rows: StagedRow[] = deletes.map(({ image, count }) => ({ ...insertOf(image), op: op.delete, count }));
  const direct = canCopy(route, kinds);
  const inserts = fold.insertCount;
  if (!direct) for (const image of fold.inserts()) rows.push(insertOf(image));
  if (rows.length > 0) {
    const stage = tools.stages.stage(route, kinds, rows);
    steps.add('stage', ...stage.steps);
    if (deletes.length > 0) {
      // Without an index to go by, one pass over the table is better than one for each row.
      steps.add('planner', planner('on'));
      steps.add('delete', deleteEqual(stage.group));
      steps.add('planner', planner('off'));
    }
    if (!direct && inserts > 0) steps.add('insert', ...insertStaged(stage.group, [op.insert], 'all'));
  }
  if (direct && inserts > 0) steps.add('copy', copyStep(route, fold.inserts()));
  const wanted = deletes.reduce((sum, { count }) => sum + count, 0);
  return { steps: steps.steps, conflicts: (results) => wanted - steps.count(results, 'delete') };
}

function planner(mode: 'on' | 'off'): string {
  return `SELECT pg_catalog.set_config('enable_hashjoin', '${mode}', true), pg_catalog.set_config('enable_mergejoin', '${mode}', true)`;
}

/** The n-th of the equal rows goes as long as n is not more than have gone at the source. */
function deleteEqual(group: Group): string {
  const { route, table, mine } = group;
  const { reach } = route.target;
  return `DELETE FROM ${reach} t USING (
      SELECT t.tableoid AS leaf, t.ctid AS place, s.n,
        pg_catalog.row_number() OVER (PARTITION BY s.ctid ORDER BY t.tableoid, t.ctid) AS nth
        FROM ${table} s JOIN ${reach} t ON ${sameRow(route, group)} WHERE ${mine} AND s.op = ${String(op.delete)}) gone
    WHERE t.tableoid = gone.leaf AND t.ctid = gone.place AND gone.nth <= gone.n`;
}

/**
 * The images decide. Something that can be hashed comes before them: columns without NULLs that are equal only when their
 * images are, else the text of all such columns, else that of the row.
 */
function sameRow(route: Route, group: Group): string {
  const pairs = route.columns.map((column, index) => ({
    column,
    t: `t.${quoteIdent(column.name)}`,
    s: group.fromText[index] === true ? (group.value[index] ?? '') : `s.${group.raw[index] ?? ''}`,
  }));
  const record = (side: 't' | 's', list: typeof pairs): string =>
    `ROW(${list.map((pair) => pair[side]).join(', ')})`;
  const exact = pairs.filter(({ column }) => column.exact);
  const full = exact.filter(({ column }) => column.notNull);
  const first =
    full.length > 0
      ? full.map(({ t, s }) => `${t} = ${s}`)
      : [exact.length > 0 ? exact : pairs].map(
          (list) => `${record('t', list)}::text = ${record('s', list)}::text`,
        );
  const typed = pairs.map((pair) => ({ ...pair, s: `CAST(${pair.s} AS ${pair.column.type})` }));
  return [...first, `${record('t', typed)}::record *= ${record('s', typed)}::record`].join(' AND ');
}

/** All rows of a table without columns are equal. */
function emptyRowsPart(fold: RowsFold, steps: NamedSteps): Part {
  const { target } = fold.route;
  const gone = fold.deletes.reduce((sum, { count }) => sum + count, 0);
  const come = fold.insertCount;
  const statements: (string | Step)[] = [];
  if (gone > 0)
    statements.push(`DELETE FROM ${target.reach} t USING (SELECT tableoid AS leaf, ctid AS place FROM ${target.reach}
      LIMIT ${String(gone)}) gone WHERE t.tableoid = gone.leaf AND t.ctid = gone.place`);
  steps.add('delete', ...statements);
  if (come > 0)
    steps.add(
      'insert',
      `INSERT INTO ${target.quoted} SELECT FROM pg_catalog.generate_series(1, ${String(come)})`,
    );
  return { steps: steps.steps, conflicts: (results) => gone - steps.count(results, 'delete') };
}
