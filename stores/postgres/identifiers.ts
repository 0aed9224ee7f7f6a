import type { TableName } from '../spi/tables.ts';

export { displayName } from '../spi/tables.ts';

/** `"Odd ""name"` for SQL; always quoted, so that every name the server can hold is right. */
export function quoteIdent(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function quoteName(name: TableName): string {
  return `${quoteIdent(name.schema)}.${quoteIdent(name.name)}`;
}

/** A string literal. Uses the escape form when a backslash is present, so standard_conforming_strings does not matter. */
export function quoteLiteral(text: string): string {
  const body = text.replaceAll("'", "''");
  return body.includes('\\') ? `E'${body.replaceAll('\\', '\\\\')}'` : `'${body}'`;
}

/** Column list for SQL, in order. */
export function quoteColumns(columns: readonly string[]): string {
  return columns.map(quoteIdent).join(', ');
}
