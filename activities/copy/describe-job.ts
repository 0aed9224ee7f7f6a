import type { PreflightFinding, PrepareInput } from '../../definitions/contracts/copy.ts';
import type { TableSelection } from '../../definitions/contracts/job.ts';
import { chooseStrategy, type StrategyDecision } from '../../planning/load-strategy.ts';
import { matchTables, type TableMatch } from '../../planning/table-match.ts';
import { type ResolvedWindow, resolveWindow, type WindowColumnType } from '../../planning/window.ts';
import type { TablePlan } from '../../stores/spi/chunk-source.ts';
import { requireCapability, type Store, type StoreProvider } from '../../stores/spi/store.ts';
import type { TableDefinition, TableName } from '../../stores/spi/tables.ts';

/** A job held against both servers as they are now: what would be done to each table, and what stands in the way. */
export interface DescribedJob {
  readonly source: Store;
  readonly target: Store;
  readonly tables: readonly DescribedTable[];
  readonly findings: readonly PreflightFinding[];
}

export interface DescribedTable {
  readonly selection: TableSelection;
  readonly definition: TableDefinition;
  readonly target: TableName;
  /** As it is on the target; null when it does not exist. */
  readonly existing: TableDefinition | null;
  readonly match: TableMatch;
  readonly decision: StrategyDecision;
  readonly window: ResolvedWindow | null;
}

/** Reads only. Every finding of every table at once; a table whose strategy is refused is left out of `tables`. */
export async function describeJob(stores: StoreProvider, input: PrepareInput): Promise<DescribedJob> {
  const { job } = input;
  const source = stores.get(job.source.store);
  const target = stores.get(job.target.store);
  const described = await requireCapability(source, 'tableReader').describe(job.source.tables);
  const targets = described.tables.map(({ selection, definition }) => targetName(selection, definition));
  const existing = await requireCapability(target, 'tableReader').find(targets);
  const watermark = await requireCapability(target, 'loadLedger').watermarks.get(job.name);
  const findings = [...described.findings];
  const tables = described.tables.flatMap(({ selection, definition }, index): DescribedTable[] => {
    const as = targets[index] ?? definition.name;
    const found = existing[index] ?? null;
    const window = windowOf(selection, definition, { scheduledTime: input.scheduledTime, watermark });
    if (window !== null && 'severity' in window) {
      findings.push(window);
      return [];
    }
    const match = matchTables({
      source: definition,
      target: found,
      as,
      createTables: job.target.createTables,
      mode: job.target.mode,
      ...(selection.columns === undefined ? {} : { columns: selection.columns }),
      chunks: selection.chunks,
    });
    findings.push(...match.findings);
    const answer = chooseStrategy({
      mode: job.target.mode,
      source: definition,
      target: found,
      leaves: match.leaves,
      key: match.key,
      filtered: window !== null || selection.where !== undefined,
      chunkBytes: selection.chunkBytes,
    });
    if (answer.refused !== null) {
      findings.push(answer.refused);
      return [];
    }
    return [{ selection, definition, target: as, existing: found, match, decision: answer.decision, window }];
  });
  return { source, target, tables, findings };
}

/** What `finish` needs: the selected tables as they are on the source now, and what they are called on the target. */
export interface DescribedSource {
  readonly source: Store;
  readonly target: Store;
  readonly tables: readonly Pick<DescribedTable, 'selection' | 'definition' | 'target'>[];
}

export async function describeSources(
  stores: StoreProvider,
  { job }: Pick<PrepareInput, 'job'>,
): Promise<DescribedSource> {
  const source = stores.get(job.source.store);
  const { tables } = await requireCapability(source, 'tableReader').describe(job.source.tables);
  return {
    source,
    target: stores.get(job.target.store),
    tables: tables.map((table) => ({ ...table, target: targetName(table.selection, table.definition) })),
  };
}

function targetName(selection: TableSelection, definition: TableDefinition): TableName {
  return {
    schema: selection.targetSchema ?? definition.name.schema,
    name: selection.targetTable ?? definition.name.name,
  };
}

interface WindowTime {
  readonly scheduledTime: string;
  readonly watermark: string | null;
}

function windowOf(
  selection: TableSelection,
  definition: TableDefinition,
  time: WindowTime,
): ResolvedWindow | PreflightFinding | null {
  const { window } = selection;
  if (window === undefined) return null;
  const column = definition.columns.find((candidate) => candidate.name === window.column);
  const columnType = column === undefined ? null : timeTypeOf(column.type);
  if (columnType === null) {
    const table = `${definition.name.schema}.${definition.name.name}`;
    return {
      severity: 'error',
      code: 'source.columnMissing',
      table,
      message: `Window column ${window.column} of ${table} is missing, or is no date, timestamp or timestamptz.`,
      cure: 'Name a column of one of these types under `window.column`.',
    };
  }
  return resolveWindow(window, { ...time, columnType });
}

function timeTypeOf(type: string): WindowColumnType | null {
  if (type === 'date') return 'date';
  const parts = /^timestamp(?:\(\d\))? (with|without) time zone$/.exec(type);
  if (parts === null) return null;
  return parts[1] === 'with' ? 'timestamptz' : 'timestamp';
}

/** What the load stores of a table, once with the plan. */
export function tablePlanOf(table: DescribedTable, ordinal: number): TablePlan {
  const { selection, window } = table;
  return {
    ordinal,
    source: table.definition.name,
    target: table.target,
    columns: table.match.columns,
    key: table.match.key,
    format: table.match.format,
    retyped: table.match.retyped,
    where: selection.where ?? null,
    window:
      window === null || selection.window === undefined
        ? null
        : { column: selection.window.column, ...window },
    strategy: table.decision.strategy,
  };
}
