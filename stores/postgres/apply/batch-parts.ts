import type { LogChange, TruncateChange } from '../../spi/log.ts';
import { Fold, type Spread } from './fold.ts';
import { RowsFold } from './fold-rows.ts';
import type { Route } from './route.ts';

/** What is to be done with one table, after what stands before it in the list. */
export type Segment =
  | { readonly kind: 'keyed'; readonly fold: Fold }
  | { readonly kind: 'rows'; readonly fold: RowsFold }
  | { readonly kind: 'truncate'; readonly route: Route; readonly change: TruncateChange };

type FoldSegment = Exclude<Segment, { readonly kind: 'truncate' }>;

export interface Cutting {
  routeFor(change: LogChange): Route;
  readonly spread: Spread | null;
  /** What a segment must not reach over. `tables`: neither a transaction nor another table; `changes`: not even a change. */
  readonly within: 'batch' | 'tables' | 'changes';
}

/**
 * Cuts changes into segments: the changes of one table are folded together, whatever comes between them for others,
 * until a truncate or another encoding of its values. The order within one table is never changed.
 */
export function segmentsOf(changes: readonly LogChange[], cutting: Cutting): readonly Segment[] {
  const segments: Segment[] = [];
  const open = new Map<string, FoldSegment>();
  const begin = (route: Route): FoldSegment => {
    const segment: FoldSegment =
      route.key === null
        ? { kind: 'rows', fold: new RowsFold(route) }
        : { kind: 'keyed', fold: new Fold(route, cutting.spread) };
    open.set(route.target.quoted, segment);
    segments.push(segment);
    return segment;
  };
  let route: Route | null = null;
  let last: LogChange | null = null;
  for (const change of changes) {
    if (route === null || route.relation !== change.relation) {
      const next = cutting.routeFor(change);
      if (route !== null && next.target !== route.target && cutting.within !== 'batch') open.clear();
      route = next;
    }
    if (cutting.within === 'changes') open.clear();
    if (cutting.within === 'tables' && last?.transaction !== change.transaction) open.clear();
    last = change;
    if (change.kind === 'truncate') {
      // Foreign keys may tie tables together, so nothing goes around it.
      open.clear();
      segments.push({ kind: 'truncate', route, change });
      continue;
    }
    let segment = open.get(route.target.quoted);
    if (segment === undefined || !isAlike(segment.fold.route, route)) segment = begin(route);
    if (!segment.fold.add(change)) begin(route).fold.add(change);
  }
  return segments;
}

/** Images of both can be mixed. */
function isAlike(one: Route, other: Route): boolean {
  return one === other || one.shape === other.shape;
}
