import { SynclineError } from '../../../definitions/errors.ts';
import type { TableName } from '../../spi/tables.ts';

/** A pattern of table names, `sales.*`, `"Odd.Schema"."T"`, as the job file has it; without a dot in schema `public`. */
export interface NamePattern {
  readonly hasWildcard: boolean;
  matches(name: TableName): boolean;
}

/** Throws `definition.invalid`. A `*` in quotes is a character like any other. */
export function namePattern(text: string): NamePattern {
  const parts: Part[] = [{ source: '', hasWildcard: false }];
  const token = /"((?:[^"]|"")*)"|([^".]+)|(\.)|(")/gy;
  for (const [, quoted, plain, dot] of text.matchAll(token)) {
    const part = parts.at(-1);
    if (dot !== undefined || part === undefined) parts.push({ source: '', hasWildcard: false });
    else if (quoted !== undefined) part.source += literal(quoted.replaceAll('""', '"'));
    else if (plain === undefined) throw invalid(text);
    else {
      part.source += plain.split('*').map(literal).join('.*');
      part.hasWildcard ||= plain.includes('*');
    }
  }
  if (parts.length > 2 || parts.some((part) => part.source === '')) throw invalid(text);
  const [schema, name] = (parts.length === 1 ? [{ source: 'public' }, ...parts] : parts).map(
    (part) => new RegExp(`^${part.source}$`, 'su'),
  );
  return {
    hasWildcard: parts.some((part) => part.hasWildcard),
    matches: (found) => schema?.test(found.schema) === true && name?.test(found.name) === true,
  };
}

interface Part {
  source: string;
  hasWildcard: boolean;
}

function literal(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, (char) => `\\${char}`);
}

function invalid(text: string): SynclineError {
  return new SynclineError('definition.invalid', `Table pattern ${text} is not of the form schema.table.`);
}
