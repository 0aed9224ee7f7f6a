import type { TableName } from '../../spi/tables.ts';
import { quoteLiteral, quoteName } from '../identifiers.ts';

/**
 * A statement of a script may belong to one table: it runs only where that table did not exist before. The mark is a
 * comment in its first line, so that a script stays plain SQL that a person can read and run.
 */
const mark = '-- with new table ';

export interface Statement {
  /** JSON of [schema, name]; null for what is shared (schemas, types, sequences) and says itself when to do nothing. */
  readonly table: string | null;
  readonly text: string;
}

export function withNewTable(table: TableName, text: string): string {
  return `${mark}${JSON.stringify([table.schema, table.name])}\n${text}`;
}

export function readStatement(text: string): Statement {
  if (!text.startsWith(mark)) return { table: null, text };
  const end = text.indexOf('\n');
  return { table: text.slice(mark.length, end), text: text.slice(end + 1) };
}

export function tableOf(marked: string): TableName {
  const [schema = '', name = ''] = JSON.parse(marked) as string[];
  return { schema, name };
}

/** Runs `statement` on the server only where `condition` holds there. */
export function onlyIf(condition: string, statement: string): string {
  return `DO LANGUAGE plpgsql ${quoteLiteral(`BEGIN IF ${condition} THEN EXECUTE ${quoteLiteral(statement)}; END IF; END`)}`;
}

/** `'"schema"."name"'`, what to_regclass and to_regtype take. */
export function nameLiteral(name: TableName): string {
  return quoteLiteral(quoteName(name));
}

/** Servers before 18 know stored columns only; the comment tells our word from the same one in somebody's text. */
export const virtualColumn = '/* syncline: else stored */ VIRTUAL';

export function forServer(statement: string, version: number): string {
  return version >= 180_000 ? statement : statement.replaceAll(virtualColumn, 'STORED');
}
