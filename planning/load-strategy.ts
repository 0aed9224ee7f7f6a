import type { PreflightFinding } from '../definitions/contracts/copy.ts';
import type { LoadMode } from '../definitions/contracts/job.ts';
import { errorTable } from '../definitions/errors.ts';
import type { LeafMatch } from './leaf-match.ts';
import { ordersAlike, shown, type TableFacts } from './table-facts.ts';

/** See stores/spi/chunk-source.ts, which says what each does. */
export type LoadStrategy = 'swap' | 'in-place' | 'difference' | 'delete-insert' | 'append' | 'upsert';

export interface StrategyRequest {
  readonly mode: LoadMode;
  readonly source: TableFacts;
  /** As it is now; null when it will be created. */
  readonly target: TableFacts | null;
  readonly leaves: readonly LeafMatch[];
  /** Of the match: what identifies a row on both sides. */
  readonly key: readonly string[] | null;
  /** Whether a window or a filter takes only some rows of a chunk. */
  readonly filtered: boolean;
  readonly chunkBytes: number;
}

export interface StrategyDecision {
  readonly strategy: LoadStrategy;
  /** Whether chunks may be cut into slices. False: cut with no limit on size. */
  readonly slices: boolean;
  /** Why it is not the fastest way; null for that. */
  readonly reason: string | null;
}

export type StrategyAnswer =
  | { readonly decision: StrategyDecision; readonly refused: null }
  | { readonly decision: null; readonly refused: PreflightFinding };

/** Below this a swap costs more than it saves, and so it does under this many partitions (46 ms each under 10,000). */
const smallLeafBytes = 8 * 1024 * 1024;
const manyPartitions = 1_000;

/** One way for a whole table, decided before anything is loaded. First match wins, from what is safest. */
export function chooseStrategy(request: StrategyRequest): StrategyAnswer {
  const { mode } = request;
  if (mode !== 'replace') return decide(mode, true, null);
  const hanging = (request.target ?? { hanging: nothing }).hanging;
  const routed = request.leaves.some((leaf) => leaf.routed);
  const unscoped = routed ? whyUnscoped(request) : null;
  if (unscoped !== null) return refuse(request, unscoped);
  const pinned = pinnedBy(hanging.referencedBy, hanging.publications);
  if (pinned !== null) return keepRows(request, pinned);
  if (request.filtered)
    return staged(request, 'delete-insert', 'A window or filter replaces only the rows it takes.');
  if (routed)
    return staged(request, 'delete-insert', 'Rows are routed, so the old ones are deleted by condition.');
  const kept = whatKeepsTheTable(request);
  if (kept !== null)
    return decide('in-place', true, `${kept}: the same table is emptied and filled, and its readers wait.`);
  return swapOrInPlace(request);
}

const nothing = { referencedBy: [], views: [], publications: [], other: [] } as const;

/** A big chunk is worth an exchange; many small ones are quicker, and as safe, in place. */
function swapOrInPlace({ source, target, chunkBytes }: StrategyRequest): StrategyAnswer {
  const largest = Math.max(0, ...source.leaves.map((leaf) => leaf.bytes).slice(0, 100_000));
  const sliced = source.key !== null && largest > chunkBytes;
  const partitions = (target ?? source).leaves.length;
  if (!sliced && largest <= smallLeafBytes) return decide('in-place', true, null);
  if (!sliced && partitions > manyPartitions) {
    return decide(
      'in-place',
      true,
      `Exchanging one of ${partitions} partitions costs more than filling it in place; its readers wait.`,
    );
  }
  const scanned = (target ?? source).leaves.find(
    (leaf) => leaf.bounds.includes('DEFAULT') && leaf.bytes > smallLeafBytes,
  );
  const reason =
    scanned === undefined
      ? null
      : `Each exchange scans the default partition ${shown(scanned.name)} under lock, unless a CHECK on it excludes the rows.`;
  return decide('swap', true, reason);
}

/** Neither exchange nor TRUNCATE may touch it: only what differs is written, which takes a key. */
function keepRows(request: StrategyRequest, why: string): StrategyAnswer {
  if (request.key === null) return refuse(request, `${why}, and there is no key to write only what differs.`);
  const updatable = (request.target ?? request.source).columns.find(
    (column) => column.identity === 'always' && request.key?.includes(column.name) !== true,
  );
  if (updatable !== undefined) {
    return refuse(
      request,
      `${why}, and column ${updatable.name} (GENERATED ALWAYS AS IDENTITY) cannot be updated.`,
    );
  }
  return staged(request, 'difference', `${why}: only rows that differ are written.`);
}

/** Ways that delete by condition on the target: a slice there must hold exactly the rows it holds on the source. */
function staged(request: StrategyRequest, strategy: LoadStrategy, reason: string): StrategyAnswer {
  const { key, columns } = request.source;
  const alike = (key ?? []).every((name) => {
    const target = (request.target ?? request.source).columns.find((column) => column.name === name);
    return ordersAlike(columns.find((column) => column.name === name)) && ordersAlike(target);
  });
  const note = alike ? '' : ' Big chunks stay whole, because the servers may order the key differently.';
  return decide(strategy, alike, reason + note);
}

function pinnedBy(referencedBy: readonly string[], publications: readonly string[]): string | null {
  if (referencedBy.length > 0) return `Foreign keys point at it (${referencedBy.join(', ')})`;
  if (publications.length > 0)
    return `It is published (${publications.join(', ')}), and an exchange replicates nothing`;
  return null;
}

function whatKeepsTheTable({ source, target }: StrategyRequest): string | null {
  if (source.shape === 'inherited' || target?.shape === 'inherited') return 'It has inheritance children';
  const hanging = [...(target?.hanging.views ?? []), ...(target?.hanging.other ?? [])];
  return hanging.length === 0 ? null : `What hangs on it would be lost (${hanging.join(', ')})`;
}

/**
 * Rows of one chunk that are spread over the target must be found there again before they are replaced: by the bound
 * of the chunk, if it means the same on both servers. A single chunk stands for all rows.
 */
function whyUnscoped({ source, target, leaves }: StrategyRequest): string | null {
  if (leaves.length === 1 && source.leaves[0]?.bounds.length === 0) return null;
  if (source.shape === 'inherited')
    return 'Inheritance children have no bounds to find their rows by in a table laid out differently.';
  for (const key of new Set(source.leaves.flatMap((leaf) => leaf.partitionedBy ?? []))) {
    if (key.startsWith('HASH'))
      return 'Hash partitions have no bounds to find their rows by in a table laid out differently.';
    const names = /^(?:RANGE|LIST) \(([^()]*)\)$/.exec(key)?.[1]?.split(', ').map(unquote);
    const alike = names?.every((name) =>
      [source, target].every(
        (table) => table === null || ordersAlike(table.columns.find((column) => column.name === name)),
      ),
    );
    if (alike !== true && !key.startsWith('LIST'))
      return `The servers may order the partition key ${key} differently.`;
  }
  return null;
}

function unquote(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
}

function decide(strategy: LoadStrategy, slices: boolean, reason: string | null): StrategyAnswer {
  return { decision: { strategy, slices, reason }, refused: null };
}

function refuse(request: StrategyRequest, why: string): StrategyAnswer {
  const table = shown((request.target ?? request.source).name);
  const code = 'target.replaceRefused';
  return {
    decision: null,
    refused: {
      severity: 'error',
      code,
      table,
      message: `Table ${table} cannot be replaced: ${why}`,
      cure: errorTable[code].cure,
    },
  };
}
