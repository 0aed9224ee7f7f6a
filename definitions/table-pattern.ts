/** `schema.table`, either part with `*`, either part in double quotes when it holds a dot or a quote. */
export interface TablePattern {
  readonly schema: string;
  readonly table: string;
  readonly wildcard: boolean;
}

const part = String.raw`(?:"(?:[^"]|"")+"|[^".\s](?:[^".]*[^".\s])?)`;

export const tablePatternText = `^${part}\\.${part}$`;

const pattern = new RegExp(`^(${part})\\.(${part})$`);

export function parseTablePattern(text: string): TablePattern | null {
  const match = pattern.exec(text);
  if (match === null) return null;
  const [, schema = '', table = ''] = match;
  return {
    schema: unquote(schema),
    table: unquote(table),
    wildcard: schema.includes('*') || table.includes('*'),
  };
}

function unquote(text: string): string {
  return text.startsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : text;
}
