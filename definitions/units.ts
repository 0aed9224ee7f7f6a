/**
 * Amounts as people write them. Durations: `500ms 30s 5m 2h 7d 1w`, also joined as `1h30m`; a day is 24 hours.
 * Sizes: `64MB` is decimal (64,000,000), `64MiB` binary (67,108,864). Rates: a size, then `/s`.
 * Each function answers null for text that is not of this form; units are case-sensitive.
 */

const durationUnits: Readonly<Record<string, number>> = {
  w: 604_800_000,
  d: 86_400_000,
  h: 3_600_000,
  m: 60_000,
  s: 1000,
  ms: 1,
};

const sizeUnits: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

export const durationPattern = '^(\\d+w)?(\\d+d)?(\\d+h)?(\\d+m)?(\\d+s)?(\\d+ms)?$';
export const sizePattern = '^\\d+(\\.\\d+)?([KMGT]i?)?B$';
export const ratePattern = '^\\d+(\\.\\d+)?([KMGT]i?)?B/s$';

/** Amounts by unit, largest first as written; null when the text is no duration. */
export function durationParts(text: string): ReadonlyMap<string, number> | null {
  if (text === '' || !new RegExp(durationPattern).test(text)) return null;
  const parts = new Map<string, number>();
  for (const [, amount = '', unit = ''] of text.matchAll(/(\d+)(ms|[wdhms])/g))
    parts.set(unit, Number(amount));
  return parts;
}

export function durationMs(text: string): number | null {
  const parts = durationParts(text);
  if (parts === null) return null;
  let total = 0;
  for (const [unit, amount] of parts) total += amount * (durationUnits[unit] ?? 0);
  return Number.isSafeInteger(total) ? total : null;
}

/** Bytes, rounded to whole ones. */
export function sizeBytes(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)((?:[KMGT]i?)?B)$/.exec(text);
  const bytes = Math.round(Number(match?.[1]) * (sizeUnits[match?.[2] ?? ''] ?? Number.NaN));
  return Number.isSafeInteger(bytes) ? bytes : null;
}

export function bytesPerSecond(text: string): number | null {
  return text.endsWith('/s') ? sizeBytes(text.slice(0, -2)) : null;
}

/** The same amount in the spelling we accept (`64mb` → `64MB`, `30 sec` → `30s`), or null when it is not near. */
export function respell(text: string, wanted: 'duration' | 'size' | 'rate'): string | null {
  const compact = text.replaceAll(/\s+/g, '');
  const candidates = wanted === 'duration' ? durationSpellings(compact) : sizeSpellings(compact, wanted);
  const reads = { duration: durationMs, size: sizeBytes, rate: bytesPerSecond }[wanted];
  return candidates.find((candidate) => reads(candidate) !== null) ?? null;
}

function durationSpellings(text: string): string[] {
  const lower = text.toLowerCase();
  const short = lower.replace(/(\d+)(milliseconds?|millis|msecs?)$/, '$1ms');
  return [lower, short, short.replace(/(\d+)(w|d|h|m|s)[a-z]+$/, '$1$2')];
}

function sizeSpellings(text: string, wanted: 'size' | 'rate'): string[] {
  const base = text.replace(/(\/s(ec)?|ps)$/i, '');
  const spelled = base.replace(/([kmgt])(i?)b?$/i, (_all, letter: string, binary: string) => {
    return `${letter.toUpperCase()}${binary.toLowerCase()}B`;
  });
  const upper = spelled.replace(/(\d)b$/, '$1B');
  return wanted === 'rate' ? [`${upper}/s`] : [upper];
}
