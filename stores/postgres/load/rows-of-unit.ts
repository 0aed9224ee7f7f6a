import type { KeyRange, LoadUnit, TablePlan } from '../../spi/chunk-source.ts';
import { quoteColumns, quoteIdent, quoteLiteral } from '../identifiers.ts';

/** Which rows belong to a unit, as SQL conditions. The same text selects them on either side. */

export function rangeCondition(range: KeyRange): string[] {
  const key = `ROW(${quoteColumns(range.columns)})`;
  const bound = (values: readonly string[]): string => `ROW(${values.map(quoteLiteral).join(', ')})`;
  return [
    ...(range.from === null ? [] : [`${key} >= ${bound(range.from)}`]),
    ...(range.to === null ? [] : [`${key} < ${bound(range.to)}`]),
  ];
}

/** The user's text may end in a comment: the bracket closes on a line of its own. */
export function filterConditions(plan: TablePlan): string[] {
  const { window } = plan;
  const column = window === null ? '' : quoteIdent(window.column);
  return [
    ...(plan.where === null ? [] : [`(${plan.where}\n)`]),
    ...(window === null || window.from === null ? [] : [`${column} >= ${quoteLiteral(window.from)}`]),
    ...(window === null || window.to === null ? [] : [`${column} < ${quoteLiteral(window.to)}`]),
  ];
}

/** Rows to read from the source leaf; the leaf itself is the bound of its chunk. */
export function sourceConditions(plan: TablePlan, unit: LoadUnit): string[] {
  return [...filterConditions(plan), ...(unit.range === null ? [] : rangeCondition(unit.range))];
}

/** Rows of the target that this unit stands for: those are replaced. */
export function targetConditions(plan: TablePlan, unit: LoadUnit): string[] {
  return [...sourceConditions(plan, unit), ...(unit.bound === null ? [] : [`(${unit.bound})`])];
}

export function whereClause(conditions: readonly string[]): string {
  return conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
}
