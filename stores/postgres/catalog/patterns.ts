import { SynclineError } from '../../../definitions/errors.ts';

/** One part of a pattern: text to be met exactly, or with `*` for any characters. */
export interface PatternPart {
  /** Of the unquoted text; in quotes a `*` is a character like any other. */
  readonly hasWildcard: boolean;
  /** SQL LIKE pattern with backslash escapes; without wildcards it meets exactly one name. */
  readonly like: string;
  readonly text: string;
}

export interface TablePattern {
  readonly schema: PatternPart;
  readonly name: PatternPart;
}

/** Reads `schema.table`, `*.t*`, `"Odd.Schema"."T""1"`. A pattern without a dot means schema `public`. */
export function parsePattern(pattern: string): TablePattern {
  const parts = splitParts(pattern);
  const [first, second] = parts;
  if (first === undefined || parts.length > 2 || parts.some((part) => part.text === '')) {
    throw new SynclineError(
      'definition.invalid',
      `Table pattern ${pattern} is not of the form schema.table.`,
    );
  }
  return second === undefined
    ? { schema: toPart([['public', true]]), name: first }
    : { schema: first, name: second };
}

/** Pieces are [text, quoted]. */
type Piece = readonly [text: string, quoted: boolean];

function splitParts(pattern: string): PatternPart[] {
  const parts: PatternPart[] = [];
  let pieces: Piece[] = [];
  const token = /"((?:[^"]|"")*)"|([^".]+)|(\.)|(")/gy;
  for (const [, quoted, plain, dot] of pattern.matchAll(token)) {
    if (quoted !== undefined) pieces.push([quoted.replaceAll('""', '"'), true]);
    else if (plain !== undefined) pieces.push([plain, false]);
    else if (dot !== undefined) {
      parts.push(toPart(pieces));
      pieces = [];
    } else throw new SynclineError('definition.invalid', `Table pattern ${pattern} has an open quote.`);
  }
  return [...parts, toPart(pieces)];
}

function toPart(pieces: readonly Piece[]): PatternPart {
  return {
    hasWildcard: pieces.some(([text, quoted]) => !quoted && text.includes('*')),
    like: pieces
      .map(([text, quoted]) => (quoted ? escapeLike(text) : text.split('*').map(escapeLike).join('%')))
      .join(''),
    text: pieces.map(([text]) => text).join(''),
  };
}

function escapeLike(text: string): string {
  return text.replaceAll(/[\\%_]/g, (char) => `\\${char}`);
}
