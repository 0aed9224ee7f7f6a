/** Which rows of a kept table a restore brings back: those that were kept, less what it does not ask for. */

export interface RowFilter {
  /** Half-open; bounds are literals of the column's type, of the same precision, so that they compare as text. */
  readonly window: {
    readonly column: string;
    readonly from: string | null;
    readonly to: string | null;
  } | null;
  readonly where: string | null;
}

export interface RestoredRows extends RowFilter {
  /** Rows of the backup must be left out, which only the target can do. */
  readonly filteredOnTarget: boolean;
}

/** Null: the two windows are on different columns, and no one window says what both of them mean. */
export function restoredRows(kept: RowFilter, asked: RowFilter): RestoredRows | null {
  const window = meetOf(kept.window, asked.window);
  if (window === undefined) return null;
  const narrowed =
    window !== null &&
    (window.from !== (kept.window?.from ?? null) || window.to !== (kept.window?.to ?? null));
  return {
    window,
    where: bothOf(kept.where, asked.where),
    filteredOnTarget: asked.where !== null || narrowed,
  };
}

/**
 * The same without the rows of earlier windows, which are there already. Only what joins on to the beginning is left
 * out: leaving out the middle would take two windows.
 */
export function withoutEarlier(
  rows: RestoredRows,
  earlier: readonly NonNullable<RowFilter['window']>[],
): RestoredRows {
  const { window } = rows;
  if (window === null) return rows;
  let { from } = window;
  const next = (): string | null =>
    earlier.find(
      (one) =>
        one.column === window.column &&
        (one.from === null || (from !== null && one.from <= from)) &&
        one.to !== null &&
        (from === null || one.to > from),
    )?.to ?? null;
  for (let reached = next(); reached !== null; reached = next()) from = reached;
  if (from === window.from) return rows;
  const to = from !== null && window.to !== null && window.to < from ? from : window.to;
  return { ...rows, window: { ...window, from, to }, filteredOnTarget: true };
}

function meetOf(kept: RowFilter['window'], asked: RowFilter['window']): RowFilter['window'] | undefined {
  if (kept === null || asked === null) return kept ?? asked;
  if (kept.column !== asked.column) return undefined;
  const from = [kept.from, asked.from].reduce((one, other) => (later(one, other, true) ? one : other));
  const to = [kept.to, asked.to].reduce((one, other) => (later(one, other, false) ? other : one));
  // Windows that do not meet leave nothing, never a window that ends before it begins.
  return { column: kept.column, from, to: from !== null && to !== null && to < from ? from : to };
}

/** Whether `one` is the later bound; an open one is the earliest beginning, and the latest end. */
function later(one: string | null, other: string | null, beginning: boolean): boolean {
  if (one === null) return !beginning;
  if (other === null) return beginning;
  return one >= other;
}

/** A filter may end in a comment: its bracket closes on a line of its own. */
function bothOf(kept: string | null, asked: string | null): string | null {
  if (kept === null || asked === null || kept === asked) return kept ?? asked;
  return `(${kept}\n) AND (${asked}\n)`;
}
