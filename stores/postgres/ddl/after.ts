import { renamed, renamedPart, type Renaming } from '../../../planning/leaf-names.ts';
import type { Session } from '../connection.ts';
import { quoteIdent, quoteLiteral, quoteName } from '../identifiers.ts';
import type { ColumnPieces, Sequence } from './read-tables.ts';
import { nameLiteral, onlyIf } from './statements.ts';
import { optionsOf, sequenceName, type Tree } from './write-tables.ts';

export interface ForeignKey {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  /** Up to and including ` REFERENCES `, then the name, then the rest. */
  readonly definition: string;
  readonly refSchema: string;
  readonly refTable: string;
  readonly mayWait: boolean;
  readonly comment: string | null;
}

/** Copies that the server makes for partitions are left out. A partitioned table takes no NOT VALID before 18. */
const foreignKeysQuery = `
SELECT n.nspname AS schema, c.relname AS table, con.conname AS name, pg_get_constraintdef(con.oid) AS definition,
       rn.nspname AS "refSchema", rc.relname AS "refTable", c.relkind = 'r' AND con.convalidated AS "mayWait",
       obj_description(con.oid, 'pg_constraint') AS comment
  FROM pg_constraint con
  JOIN pg_class c ON c.oid = con.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_class rc ON rc.oid = con.confrelid JOIN pg_namespace rn ON rn.oid = rc.relnamespace
 WHERE con.conrelid = ANY ($1::oid[]) AND con.contype = 'f' AND (con.conparentid = 0 OR con.conrelid = $2::oid)
 ORDER BY con.conrelid, con.conname COLLATE "C"`;

export async function readForeignKeys(
  session: Session,
  relations: readonly number[],
  root: number | undefined,
): Promise<readonly ForeignKey[]> {
  return await session.query<ForeignKey>(foreignKeysQuery, [relations, root]);
}

/** Foreign keys after the rows: added without a check under a short lock, then validated. */
export function scriptForeignKeys(
  rows: readonly ForeignKey[],
  renaming: Renaming,
): { statements: string[]; notes: string[] } {
  const statements = rows.flatMap((row) => foreignKey(row, renaming));
  const notes = rows
    .filter((row) => !isSelf(row, renaming))
    .map((row) => {
      const referenced = quoteName({ schema: row.refSchema, name: row.refTable });
      return `Foreign key ${row.name} is added after the rows, and only where ${referenced} is on the target.`;
    });
  return { statements, notes };
}

function foreignKey(row: ForeignKey, renaming: Renaming): string[] {
  const from = { schema: row.refSchema, name: row.refTable };
  const to = isSelf(row, renaming) ? renaming.to : from;
  const table = renamed({ schema: row.schema, name: row.table }, renaming);
  const name = renamedPart(row.name, renaming);
  const start = row.definition.indexOf(') REFERENCES ') + ') REFERENCES '.length;
  const rest = row.definition.slice(start);
  const target = rest.slice(nameLength(rest));
  const definition = `${row.definition.slice(0, start)}${quoteName(to)}${target}`;
  const known = `EXISTS (SELECT FROM pg_constraint WHERE conname = ${quoteLiteral(name)} AND conrelid = to_regclass(${nameLiteral(table)})`;
  const alter = `ALTER TABLE ${quoteName(table)}`;
  const add = onlyIf(
    `to_regclass(${nameLiteral(table)}) IS NOT NULL AND to_regclass(${nameLiteral(to)}) IS NOT NULL AND NOT ${known})`,
    `${alter} ADD CONSTRAINT ${quoteIdent(name)} ${definition}${row.mayWait ? ' NOT VALID' : ''}`,
  );
  if (!row.mayWait) return [add];
  return [add, onlyIf(`${known} AND NOT convalidated)`, `${alter} VALIDATE CONSTRAINT ${quoteIdent(name)}`)];
}

function isSelf(row: ForeignKey, { from }: Renaming): boolean {
  return row.refSchema === from.schema && row.refTable === from.name;
}

/** Length of `schema.table` at the beginning of the text, quoted or not. */
function nameLength(text: string): number {
  return /^(?:"(?:[^"]|"")*"|[^".(])+(?:\.(?:"(?:[^"]|"")*"|[^".(])+)?/.exec(text)?.[0].length ?? 0;
}

/** Brings each sequence to where the source's is; never back, so repeating changes nothing. */
export function setSequences(tree: Tree): string[] {
  return tree.facts.sequences.flatMap((sequence) =>
    sequence.lastValue === null ? [] : [setSequence(sequence, sequence.lastValue, tree)],
  );
}

function setSequence(sequence: Sequence, value: string, tree: Tree): string {
  const further = sequence.ascending ? 'greatest' : 'least';
  const owner = tree.members.find((member) => member.oid === sequence.ownerRelation);
  const regclass =
    owner === undefined || sequence.ownerColumn === null
      ? `to_regclass(${nameLiteral(sequenceName(sequence, tree.renaming))})`
      : serialSequence(quoteName(renamed(owner.name, tree.renaming)), sequence.ownerColumn);
  return `SELECT setval(s.oid, ${further}(${value}, pg_sequence_last_value(s.oid))) FROM (SELECT ${regclass}::regclass AS oid) s WHERE s.oid IS NOT NULL`;
}

/** pg_get_serial_sequence raises when table or column are not there. */
function serialSequence(table: string, column: string): string {
  const exists = `EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass(${quoteLiteral(table)}) AND attname = ${quoteLiteral(column)} AND NOT attisdropped)`;
  return `CASE WHEN ${exists} THEN pg_get_serial_sequence(${quoteLiteral(table)}, ${quoteLiteral(column)}) END`;
}

const statisticsQuery = `
SELECT sn.nspname AS schema, s.stxname AS name, n.nspname AS "tableSchema", c.relname AS table,
       regexp_replace(substr(pg_get_statisticsobjdef(s.oid), 1, length(pg_get_statisticsobjdef(s.oid))
         - length(format(' FROM %I.%I', n.nspname, c.relname))), '^CREATE STATISTICS ("([^"]|"")+"|[^".])+\\.("([^"]|"")+"|[^". ])+ ', '') AS definition
  FROM pg_statistic_ext s JOIN pg_namespace sn ON sn.oid = s.stxnamespace
  JOIN pg_class c ON c.oid = s.stxrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE s.stxrelid = ANY ($1::oid[]) ORDER BY s.oid`;

export interface StatisticsRow {
  readonly schema: string;
  readonly name: string;
  readonly tableSchema: string;
  readonly table: string;
  readonly definition: string;
}

export async function readStatistics(
  session: Session,
  relations: readonly number[],
): Promise<readonly StatisticsRow[]> {
  return await session.query<StatisticsRow>(statisticsQuery, [relations]);
}

/** Extended statistics objects; ANALYZE fills them. */
export function scriptStatistics(rows: readonly StatisticsRow[], renaming: Renaming): string[] {
  return rows.map((row) => {
    const name = quoteName(renamed(row, renaming));
    const table = quoteName(renamed({ schema: row.tableSchema, name: row.table }, renaming));
    return `CREATE STATISTICS IF NOT EXISTS ${name} ${row.definition} FROM ${table}`;
  });
}

export interface ColumnComment extends Pick<ColumnPieces, 'relation' | 'name'> {
  readonly comment: string;
}

const columnCommentsQuery = `
SELECT a.attrelid AS relation, quote_ident(a.attname) AS name, d.description AS comment
  FROM pg_description d JOIN pg_attribute a ON a.attrelid = d.objoid AND a.attnum = d.objsubid
 WHERE d.classoid = 'pg_class'::regclass AND d.objsubid > 0 AND d.objoid = ANY ($1::oid[]) AND NOT a.attisdropped
 ORDER BY a.attrelid, a.attnum`;

export async function readColumnComments(
  session: Session,
  relations: readonly number[],
): Promise<readonly ColumnComment[]> {
  return await session.query<ColumnComment>(columnCommentsQuery, [relations]);
}

/** Comments on tables, columns, constraints and indexes; those that are not on the target are passed over. */
export function scriptComments(columns: readonly ColumnComment[], tree: Tree): string[] {
  const names = new Map(tree.members.map((member) => [member.oid, renamed(member.name, tree.renaming)]));
  const statements: string[] = [];
  for (const member of tree.members) {
    const as = renamed(member.name, tree.renaming);
    const table = `to_regclass(${nameLiteral(as)})`;
    const comment = optionsOf(member, tree)?.comment ?? null;
    if (comment !== null)
      statements.push(commentIf(`${table} IS NOT NULL`, `TABLE ${quoteName(as)}`, comment));
    for (const constraint of tree.facts.constraints.get(member.oid) ?? []) {
      if (constraint.comment === null) continue;
      const name = renamedPart(constraint.name, tree.renaming);
      const known = `EXISTS (SELECT FROM pg_constraint WHERE conname = ${quoteLiteral(name)} AND conrelid = ${table})`;
      statements.push(
        commentIf(known, `CONSTRAINT ${quoteIdent(name)} ON ${quoteName(as)}`, constraint.comment),
      );
    }
    for (const index of tree.facts.indexes.get(member.oid) ?? []) {
      if (index.comment === null) continue;
      const name = { schema: as.schema, name: renamedPart(index.name, tree.renaming) };
      const known = `to_regclass(${nameLiteral(name)}) IS NOT NULL`;
      statements.push(commentIf(known, `INDEX ${quoteName(name)}`, index.comment));
    }
  }
  for (const { relation, name, comment } of columns) {
    const as = names.get(relation);
    if (as === undefined) continue;
    const known = `EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass(${nameLiteral(as)}) AND quote_ident(attname) = ${quoteLiteral(name)})`;
    statements.push(commentIf(known, `COLUMN ${quoteName(as)}.${name}`, comment));
  }
  return statements;
}

function commentIf(condition: string, what: string, comment: string): string {
  return onlyIf(condition, `COMMENT ON ${what} IS ${quoteLiteral(comment)}`);
}
