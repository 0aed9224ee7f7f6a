/**
 * Whether every value of one column type fits into another, without rounding, cutting or reinterpreting.
 * PostgreSQL itself rounds numeric and timestamp values silently in both COPY formats, so the answer must come first.
 */

export interface TypeFit {
  /**
   * - `same`: the same type; the binary form may be used.
   * - `wider`: the same binary form, a wider limit (varchar(10) to varchar(20)).
   * - `converted`: every value fits, but only its text form can travel.
   * - `narrower`: the same family, but values may be rounded, cut or refused.
   * - `different`: no rule says that values survive.
   */
  readonly kind: 'same' | 'wider' | 'converted' | 'narrower' | 'different';
  /** Whether the text form of a value may look different afterwards: a digest then differs though nothing is lost. */
  readonly looksDifferent: boolean;
}

interface ParsedType {
  /** Without modifiers and array brackets. */
  readonly base: string;
  readonly modifiers: readonly number[];
  readonly array: boolean;
}

const fit = (kind: TypeFit['kind'], looksDifferent = false): TypeFit => ({ kind, looksDifferent });

/** Reads `numeric(10,2)`, `timestamp(3) without time zone[]`. A type with a quoted name or odd modifiers has none. */
export function parseType(text: string): ParsedType {
  const array = text.endsWith('[]');
  const single = array ? text.slice(0, -2) : text;
  const match = /^([^"(]+)\((-?\d+(?:,-?\d+)*)\)([^"(]*)$/.exec(single);
  if (match === null) return { base: single, modifiers: [], array };
  const [, before = '', modifiers = '', behind = ''] = match;
  return { base: `${before}${behind}`, modifiers: modifiers.split(',').map(Number), array };
}

export function matchType(source: string, target: string): TypeFit {
  if (source === target) return fit('same');
  const from = parseType(source);
  const to = parseType(target);
  if (from.array !== to.array)
    return to.array || to.base !== 'text' ? fit('different') : fit('converted', true);
  const found = from.base === to.base ? sameBase(from, to) : otherBase(from, to);
  // The binary form of an array names the type of its elements.
  return from.array && found.kind === 'wider' && from.base !== to.base
    ? fit('converted', found.looksDifferent)
    : found;
}

/** How limits of the same type compare. Without an entry only equal limits, or none on the target, will do. */
const limitRules: Readonly<Record<string, (from: readonly number[], to: readonly number[]) => TypeFit>> = {
  numeric: (from, to) => {
    const [precision, scale = 0] = from;
    const [room = 0, digits = 0] = to;
    if (precision === undefined || digits < scale || room - digits < precision - scale)
      return fit('narrower');
    return fit('wider', digits !== scale);
  },
  'character varying': longerOnly,
  'bit varying': longerOnly,
  // Blank-padded: longer values are equal to the server, but look different. No modifier means one character.
  character: (from, to) => ((to[0] ?? 1) >= (from[0] ?? 1) ? fit('wider', true) : fit('narrower')),
  'timestamp without time zone': fractionRule,
  'timestamp with time zone': fractionRule,
  'time without time zone': fractionRule,
  'time with time zone': fractionRule,
  interval: fractionRule,
};

function longerOnly(from: readonly number[], to: readonly number[]): TypeFit {
  return from[0] !== undefined && (to[0] ?? 0) >= from[0] ? fit('wider') : fit('narrower');
}

/** Digits of a second; none named means six. */
function fractionRule(from: readonly number[], to: readonly number[]): TypeFit {
  return (to[0] ?? 6) >= (from[0] ?? 6) ? fit('wider') : fit('narrower');
}

/** Types where no limit on the target is a limit of one. */
const limitedByDefault = new Set(['bit', 'character']);

function sameBase(from: ParsedType, to: ParsedType): TypeFit {
  if (from.modifiers.join() === to.modifiers.join()) return fit('same');
  if (to.modifiers.length === 0 && !limitedByDefault.has(to.base)) return fit('wider');
  return limitRules[from.base]?.(from.modifiers, to.modifiers) ?? fit('narrower');
}

/** `mood` of `sales.mood`: a user's type that lives in another schema is taken for the same, by its text. */
function ownName(base: string): string | null {
  return /^[^".]+\.([^".]+)$/.exec(base)?.[1] ?? null;
}

/** Decimal digits that every value of an integer type fits into. */
const integerDigits: Readonly<Record<string, number>> = { smallint: 5, integer: 10, bigint: 19, oid: 10 };

/** From a type to those that hold each of its values. `*` = the answer of limitRules of the target decides. */
const widenings: Readonly<Record<string, Readonly<Record<string, TypeFit>>>> = {
  smallint: {
    integer: fit('converted'),
    bigint: fit('converted'),
    real: fit('converted'),
    'double precision': fit('converted'),
  },
  integer: { bigint: fit('converted'), 'double precision': fit('converted') },
  oid: { bigint: fit('converted') },
  date: { 'timestamp without time zone': fit('converted', true) },
  cidr: { inet: fit('converted') },
  macaddr: { macaddr8: fit('converted', true) },
  jsonb: { json: fit('converted') },
};

/** Narrowings that deserve their name in a message; everything else that is not above is `different`. */
const families: readonly (readonly string[])[] = [
  ['smallint', 'integer', 'bigint', 'oid', 'numeric', 'real', 'double precision', 'money'],
  ['text', 'character varying', 'character', 'name', '"char"'],
  ['timestamp without time zone', 'timestamp with time zone', 'date'],
  ['time without time zone', 'time with time zone'],
  ['inet', 'cidr'],
  ['bit', 'bit varying'],
  ['json', 'jsonb'],
  ['macaddr', 'macaddr8'],
];

/** Types that share one binary form: the characters themselves. */
const characters = new Set(['text', 'character varying', 'character', 'name']);

function otherBase(from: ParsedType, to: ParsedType): TypeFit {
  return (
    widenings[from.base]?.[to.base] ??
    intoNumeric(from, to) ??
    intoCharacters(from, to) ??
    intoBits(from, to) ??
    (ownName(from.base) !== null && ownName(from.base) === ownName(to.base) ? fit('converted') : null) ??
    (families.some((family) => family.includes(from.base) && family.includes(to.base))
      ? fit('narrower')
      : fit('different'))
  );
}

function intoNumeric(from: ParsedType, to: ParsedType): TypeFit | null {
  const digits = integerDigits[from.base];
  if (digits === undefined || to.base !== 'numeric') return null;
  const [precision, scale = 0] = to.modifiers;
  if (precision !== undefined && (scale < 0 || precision - scale < digits)) return fit('narrower');
  return fit('converted', scale > 0);
}

/** Anything has a text form, and `text` (or varchar without a limit) takes it; what is not characters looks converted. */
function intoCharacters(from: ParsedType, to: ParsedType): TypeFit | null {
  const unlimited = to.base === 'text' || (to.base === 'character varying' && to.modifiers.length === 0);
  if (unlimited) return characters.has(from.base) ? fit('wider') : fit('converted');
  if (to.base !== 'character varying' || !characters.has(from.base)) return null;
  const longest =
    from.base === 'name' ? 63 : from.base === 'character' ? (from.modifiers[0] ?? 1) : undefined;
  return longest !== undefined && (to.modifiers[0] ?? 0) >= longest ? fit('wider') : fit('narrower');
}

function intoBits(from: ParsedType, to: ParsedType): TypeFit | null {
  if (from.base !== 'bit' || to.base !== 'bit varying') return null;
  return (to.modifiers[0] ?? Infinity) >= (from.modifiers[0] ?? 1) ? fit('wider') : fit('narrower');
}
