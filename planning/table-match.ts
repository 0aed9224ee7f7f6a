import type { PreflightFinding } from '../definitions/contracts/copy.ts';
import type { LoadMode } from '../definitions/contracts/job.ts';
import { errorTable, type ErrorCode } from '../definitions/errors.ts';
import { type LayoutRequest, type LeafMatch, matchLeaves, samePartitioning } from './leaf-match.ts';
import { likeMatcher } from './like-pattern.ts';
import { type ColumnFacts, shown, type TableFacts } from './table-facts.ts';
import { matchType, type TypeFit } from './type-match.ts';

export interface MatchRequest extends LayoutRequest {
  readonly mode: LoadMode;
  /** Of the selection: columns to copy (absent = all), and the LIKE pattern of leaf names. */
  readonly columns?: readonly string[];
  readonly chunks: string;
}

export interface TableMatch {
  /** To copy, in the order of the source; never generated ones. */
  readonly columns: readonly string[];
  /** What identifies a row on both sides, within the copied columns; null when nothing does. */
  readonly key: readonly string[] | null;
  readonly format: 'binary' | 'text';
  /** Columns whose type differs on the target: digests compare their text. */
  readonly retyped: readonly string[];
  /** All leaves of the source, in order. */
  readonly leaves: readonly LeafMatch[];
  /** Whether the table script must run first: the table or some of its partitions are missing. */
  readonly create: boolean;
  readonly findings: readonly PreflightFinding[];
  /** Why this table travels slower than it might, one sentence each. */
  readonly slowPath: readonly string[];
}

/** Puts a source table and its target side by side. Everything that stands in the way is found at once. */
export function matchTables(request: MatchRequest): TableMatch {
  const { source, target } = request;
  const leaves = matchLeaves(request);
  const table = shown(request.as);
  const findings: PreflightFinding[] = [];
  const refuse = (code: ErrorCode, message: string, cure: string = errorTable[code].cure): void => {
    findings.push({ severity: 'error', code, table, message, cure });
  };
  const warn = (message: string): void => {
    findings.push({ severity: 'warning', code: null, table, message, cure: null });
  };
  const said: Said = { refuse, warn };
  if (target === null && !request.createTables)
    refuse('target.tableMissing', `There is no table ${table} on the target.`);
  const pairs = matchColumns(request, said);
  const columns = pairs.map((pair) => pair.from.name);
  if (target !== null) {
    checkUnfilled(target, columns, said);
    checkPartitions(request, leaves, said);
    checkKeptRows(request, leaves, said);
  }
  const key = keyOf(source, target, columns);
  if (request.mode === 'upsert') checkUpsert(request, key, said);
  const { format, reasons } = formatOf(request, pairs);
  return {
    columns,
    key,
    format,
    retyped: pairs
      .filter((pair) => pair.fit.kind === 'converted' || pair.fit.kind === 'wider')
      .map((pair) => pair.from.name),
    leaves,
    create: request.createTables && leaves.some((leaf) => leaf.toCreate),
    findings,
    slowPath: [...reasons, ...routedReason(leaves, table)],
  };
}

interface Said {
  refuse(code: ErrorCode, message: string, cure?: string): void;
  warn(message: string): void;
}

interface ColumnPair {
  readonly from: ColumnFacts;
  readonly to: ColumnFacts;
  readonly fit: TypeFit;
}

function matchColumns({ source, target, as, columns }: MatchRequest, said: Said): ColumnPair[] {
  const asked = columns === undefined ? null : new Set(columns);
  const targets = new Map(target?.columns.map((column) => [column.name, column]));
  return source.columns.flatMap((from): ColumnPair[] => {
    if (asked !== null && !asked.has(from.name)) return [];
    const to = target === null ? from : targets.get(from.name);
    const place = `${shown(as)}.${from.name}`;
    if (to === undefined) {
      if (from.generated && asked === null)
        said.warn(`Generated column ${place} is not on the target and is left out.`);
      else said.refuse('target.columnMissing', `There is no column ${place} on the target.`);
      return [];
    }
    if (from.generated && !to.generated) {
      said.refuse(
        'target.typeMismatch',
        `Column ${place} is generated on the source and ordinary on the target: its values would be missing.`,
        'Make it generated on the target too, or leave it out with `columns`.',
      );
      return [];
    }
    if (to.generated) {
      if (!from.generated)
        said.warn(`Column ${place} is computed by the target; the source's values are not copied.`);
      return [];
    }
    const fit = matchType(from.type, to.type);
    if (fit.kind === 'narrower' || fit.kind === 'different') {
      const what = fit.kind === 'narrower' ? 'is narrower' : 'is another type';
      said.refuse(
        'target.typeMismatch',
        `Column ${place} is ${from.type} on the source and ${to.type} on the target, which ${what}.`,
      );
    } else if (fit.looksDifferent) {
      said.warn(
        `Column ${place} is ${from.type} on the source and ${to.type} on the target: values stay equal but look different, so \`verify: digest\` would fail; use \`count\`.`,
      );
    }
    return [{ from, to, fit }];
  });
}

/** A target column that nobody fills refuses every row. */
function checkUnfilled(target: TableFacts, copied: readonly string[], said: Said): void {
  for (const column of target.columns) {
    if (copied.includes(column.name) || !column.notNull || column.generated) continue;
    if (column.identity !== null || column.hasDefault === true) continue;
    said.refuse(
      'target.constraint',
      `Target column ${shown(target.name)}.${column.name} is NOT NULL without a default, and is not copied.`,
      'Copy the column too, or give it a default on the target.',
    );
  }
}

function checkPartitions(request: MatchRequest, leaves: readonly LeafMatch[], said: Said): void {
  const { source, target } = request;
  if (target?.shape !== 'partitioned') return;
  const matches = likeMatcher(request.chunks);
  const routed = leaves.filter((leaf) => leaf.routed && matches(leaf.source.name));
  const catchAll = target.leaves.some((leaf) => leaf.bounds.includes('DEFAULT'));
  const alike = source.shape === 'partitioned' && samePartitioning(source, target);
  const someMatch = leaves.some((leaf) => !leaf.routed);
  if (target.leaves.length === 0 || (alike && someMatch && !catchAll)) {
    for (const leaf of routed.slice(0, 10)) {
      said.refuse(
        'target.partitionMissing',
        `Partition ${shown(leaf.source)} has no counterpart in ${shown(target.name)}.`,
      );
    }
    if (routed.length > 10)
      said.refuse('target.partitionMissing', `So have ${routed.length - 10} more partitions.`);
  }
  if (request.mode !== 'replace' || leaves.some((leaf) => leaf.routed)) return;
  const used = new Set(leaves.map((leaf) => shown(leaf.target)));
  const extra = target.leaves.filter((leaf) => !used.has(shown(leaf.name)));
  if (extra.length === 0) return;
  const names = extra
    .slice(0, 3)
    .map((leaf) => shown(leaf.name))
    .join(', ');
  said.warn(
    `${extra.length} partitions of the target have no counterpart on the source and keep their rows (${names}).`,
  );
}

/** In another layout the rows within the bounds of the source are replaced; without a default partition others may be there. */
function checkKeptRows(request: MatchRequest, leaves: readonly LeafMatch[], said: Said): void {
  const { source, target, mode } = request;
  const coversAll = source.leaves.some((leaf) => leaf.bounds.every((bound) => bound === 'DEFAULT'));
  if (mode !== 'replace' || target === null || coversAll || leaves.some((leaf) => !leaf.routed)) return;
  said.warn(`Rows of ${shown(target.name)} that belong to no partition of the source are kept.`);
}

/** The target's own key decides what is the same row there; without one the source's does. */
function keyOf(
  source: TableFacts,
  target: TableFacts | null,
  copied: readonly string[],
): readonly string[] | null {
  const usable = [target?.key ?? null, source.key].filter((key) => key !== null);
  return usable.find((key) => key.every((column) => copied.includes(column))) ?? null;
}

function checkUpsert({ source, target, as }: MatchRequest, key: readonly string[] | null, said: Said): void {
  const table = shown(as);
  if (key === null) {
    said.refuse(
      'source.noKey',
      `Table ${shown(source.name)} has no primary key or unique not-null index within the copied columns.`,
    );
    return;
  }
  for (const column of (target ?? source).columns) {
    if (column.identity !== 'always' || key.includes(column.name)) continue;
    said.refuse(
      'target.typeMismatch',
      `Column ${table}.${column.name} is GENERATED ALWAYS AS IDENTITY outside the key and cannot be updated.`,
      `ALTER TABLE ${table} ALTER COLUMN ${column.name} SET GENERATED BY DEFAULT on the target.`,
    );
  }
}

function formatOf(
  { source, target }: MatchRequest,
  pairs: readonly ColumnPair[],
): { readonly format: 'binary' | 'text'; readonly reasons: readonly string[] } {
  const product = (dialect: string): string => dialect.split(' ')[0] ?? dialect;
  const reasons = pairs.flatMap(({ from, to, fit }) => {
    if (!from.binarySafe || !to.binarySafe)
      return [`column ${from.name} (${from.type}) has no faithful binary form`];
    return fit.kind === 'converted' ? [`column ${from.name} is ${from.type} here and ${to.type} there`] : [];
  });
  if (target !== null && product(source.dialect) !== product(target.dialect))
    reasons.push('the stores differ in kind');
  const text = reasons.slice(0, 5).join('; ') + (reasons.length > 5 ? '; …' : '');
  return reasons.length === 0
    ? { format: 'binary', reasons: [] }
    : { format: 'text', reasons: [`Rows travel as text: ${text}.`] };
}

function routedReason(leaves: readonly LeafMatch[], table: string): string[] {
  const routed = leaves.filter((leaf) => leaf.routed).length;
  if (routed === 0) return [];
  return [
    `${routed} of ${leaves.length} chunks have no partition of their own in ${table}; its server routes their rows.`,
  ];
}
