/** What is left of repeated measurements: noise only ever adds, so the smallest is shown beside the median. */
export interface Figure {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Null for no value at all. */
export function figureOf(values: readonly number[], digits = 3): Figure | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const low = sorted[Math.floor(middle)] ?? 0;
  const high = sorted[Math.ceil(middle)] ?? 0;
  return {
    median: rounded((low + high) / 2, digits),
    min: rounded(sorted[0] ?? 0, digits),
    max: rounded(sorted.at(-1) ?? 0, digits),
  };
}

/** Ratio of medians; null when one of them was not measured. */
export function ratio(one: Figure | null, other: Figure | null): number | null {
  if (one === null || other === null || other.median === 0) return null;
  return rounded(one.median / other.median, 3);
}

export function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
