import { quoteColumns, quoteIdent } from '../identifiers.ts';
import { type Group, op, sameKey } from './staging.ts';

/** Statements between a group in staging (`s`) and its table (`t`), for tables with a key. */

export function deleteStaged(group: Group, ops: readonly number[]): string {
  const { target } = group.route;
  return `DELETE FROM ${target.reach} t USING ${group.table} s WHERE ${picked(group, ops)} AND ${sameKey(group)}`;
}

/** Null: there is nothing but the key, so there is nothing to change. */
export function updateStaged(group: Group, ops: readonly number[]): string | null {
  const { route } = group;
  const sets = route.columns.flatMap((column, index) => {
    if (route.keyColumns.includes(column) || column.identityAlways) return [];
    const name = quoteIdent(column.name);
    const value = group.value[index] ?? '';
    if (group.unchanged[index] !== 1) return [`${name} = ${value}`];
    // The value that is there as it is: one that lies out of line is not written again.
    return [
      `${name} = CASE pg_catalog.get_byte(s.u, ${String(index)}) WHEN 1 THEN t.${name} ELSE ${value} END`,
    ];
  });
  if (sets.length === 0) return null;
  return `UPDATE ${route.target.reach} t SET ${sets.join(', ')} FROM ${group.table} s
    WHERE ${picked(group, ops)} AND ${sameKey(group)}`;
}

/** Rows of the table without a key too. `missing`: only those whose key is not there. */
export function insertStaged(group: Group, ops: readonly number[], which: 'all' | 'missing'): string[] {
  const { route, own } = group;
  const names = route.columns.map(({ name }) => name);
  const missing =
    which === 'all' ? '' : ` AND NOT EXISTS (SELECT FROM ${route.target.reach} t WHERE ${sameKey(group)})`;
  const insert = (columns: readonly string[], values: readonly string[], condition: string): string =>
    `INSERT INTO ${route.target.quoted} (${quoteColumns(columns)}) OVERRIDING SYSTEM VALUE
     SELECT ${values.join(', ')} FROM ${group.table} s WHERE ${picked(group, ops)}${missing}${condition}`;
  if (own.length === 0) return [insert(names, group.value, '')];
  return [
    insert([...names, ...own.map(({ name }) => name)], [...group.value, ...own.map(ownName)], ' AND s.k'),
    insert(names, group.value, ' AND s.k IS NULL'),
  ];
}

/** Staged rows that need a value of a row which is not there. */
export function countIncomplete(group: Group, ops: readonly number[]): string {
  return `SELECT pg_catalog.count(*) AS rows FROM ${group.table} s WHERE ${picked(group, ops)} AND s.u IS NOT NULL
    AND NOT EXISTS (SELECT FROM ${group.route.target.reach} t WHERE ${sameKey(group)})`;
}

/**
 * Brings values into staging that stay as they are in the table, before those rows change or go: of rows that have
 * them in another one, and with `ownRow` of all others too.
 */
export function completeStaged(group: Group, ownRow: boolean): string[] {
  const { route, own } = group;
  const sets = group.raw.flatMap((raw, index) => {
    if (group.unchanged[index] !== 1) return [];
    const name = `t.${quoteIdent(route.columns[index]?.name ?? '')}`;
    const value = group.fromText[index] === true ? `pg_catalog.format('%s', ${name})` : name;
    return [
      `${raw} = CASE pg_catalog.get_byte(s.u, ${String(index)}) WHEN 1 THEN ${value} ELSE s.${raw} END`,
    ];
  });
  sets.push('u = NULL');
  if (own.length > 0)
    sets.push('k = true', ...own.map(({ name }, index) => `o${String(index + 1)} = t.${quoteIdent(name)}`));
  const update = `UPDATE ${group.table} s SET ${sets.join(', ')} FROM ${route.target.reach} t WHERE`;
  const sameBase = route.keyColumns.map(
    (column, index) => `t.${quoteIdent(column.name)} = ${group.baseValue[index] ?? ''}`,
  );
  const others = [
    picked(group, [op.update, op.insert]),
    ...(group.hasBases ? ['s.b1 IS NULL'] : []),
    ...(own.length > 0 ? [] : ['s.u IS NOT NULL']),
    sameKey(group),
  ];
  return [
    ...(group.hasBases ? [`${update} ${group.mine} AND s.b1 IS NOT NULL AND ${sameBase.join(' AND ')}`] : []),
    ...(ownRow ? [`${update} ${others.join(' AND ')}`] : []),
  ];
}

/** Rows for which `completeStaged` found nothing. */
export function countUnfilled(group: Group, ownRow: boolean): string {
  return `SELECT pg_catalog.count(*) AS rows FROM ${group.table} s
    WHERE ${group.mine} AND s.u IS NOT NULL${ownRow ? '' : ' AND s.b1 IS NOT NULL'}`;
}

function ownName(_column: unknown, index: number): string {
  return `s.o${String(index + 1)}`;
}

function picked(group: Group, ops: readonly number[]): string {
  return `${group.mine} AND s.op ${ops.length === 1 ? `= ${String(ops[0])}` : `IN (${ops.join(', ')})`}`;
}
