import type { ArtifactAddress, PreflightFinding, PrepareInput } from '../../definitions/contracts/copy.ts';
import type { TableSelection } from '../../definitions/contracts/job.ts';
import { restoredRows, withoutEarlier } from '../../planning/kept-rows.ts';
import { chooseStrategy, type StrategyDecision } from '../../planning/load-strategy.ts';
import { matchTables, type TableMatch } from '../../planning/table-match.ts';
import { resolveWindow, type WindowColumnType } from '../../planning/window.ts';
import type { LoadStrategy, TablePlan, WindowFilter } from '../../stores/spi/chunk-source.ts';
import type { RowFormat } from '../../stores/spi/rows.ts';
import { requireCapability, type Store, type StoreProvider } from '../../stores/spi/store.ts';
import { displayName, type TableDefinition, type TableName } from '../../stores/spi/tables.ts';
import { ontoThemselves, replacedTwice } from './meeting-tables.ts';

/** What is loaded, and what is different about it when the rows come out of a backup. */
export interface LoadRequest extends PrepareInput {
  readonly from?: BackupSource;
}

export interface BackupSource {
  /** The backup, opened. */
  readonly store: Store;
  readonly address: ArtifactAddress;
  /** Identity of the load. */
  readonly load: string;
  /** How a table was read when it was backed up, by its displayed name. */
  readonly kept: ReadonlyMap<string, TablePlan>;
  /** Windows of a table that were appended before, out of other backups: their rows are not added again. */
  readonly appended: ReadonlyMap<string, readonly WindowFilter[]>;
}

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
  /** A backup may hold rows in a form of its own. */
  readonly match: Omit<TableMatch, 'format'> & { readonly format: RowFormat };
  readonly decision: { readonly strategy: LoadStrategy } & Omit<StrategyDecision, 'strategy'>;
  readonly window: WindowFilter | null;
  readonly where: string | null;
  /** See TablePlan. */
  readonly filteredOnTarget?: boolean;
}

/** Reads only. Every finding of every table at once; a table whose strategy is refused is left out of `tables`. */
export async function describeJob(stores: StoreProvider, input: LoadRequest): Promise<DescribedJob> {
  const { job, from } = input;
  const source = from?.store ?? stores.get(job.source.store);
  const target = stores.get(job.target.store);
  const described = await requireCapability(source, 'tableReader').describe(job.source.tables);
  const targets = described.tables.map(({ selection, definition }) => targetName(selection, definition));
  const existing = await requireCapability(target, 'tableReader').find(targets);
  const watermark = await requireCapability(target, 'loadLedger').watermarks.get(job.name);
  const findings = [...described.findings];
  const tables = described.tables.flatMap(({ selection, definition }, index): DescribedTable[] => {
    const as = targets[index] ?? definition.name;
    const found = existing[index] ?? null;
    const kept = from?.kept.get(displayName(definition.name));
    const rows = rowsOf({ selection, definition }, { scheduledTime: input.scheduledTime, watermark }, from);
    if ('severity' in rows) {
      findings.push(rows);
      return [];
    }
    const columns = selection.columns ?? kept?.columns;
    const match = matchTables({
      source: definition,
      target: found,
      as,
      createTables: job.target.createTables,
      mode: job.target.mode,
      ...(columns === undefined ? {} : { columns }),
      chunks: selection.chunks,
    });
    findings.push(...match.findings, ...(kept === undefined ? [] : keptFindings(kept, match)));
    findings.push(...leftOutFindings(displayName(definition.name), rows, from));
    const answer = chooseStrategy({
      mode: job.target.mode,
      source: definition,
      target: found,
      leaves: match.leaves,
      key: match.key,
      filtered: rows.window !== null || rows.where !== null,
      chunkBytes: selection.chunkBytes,
    });
    if (answer.refused !== null) {
      findings.push(answer.refused);
      return [];
    }
    const how = kept === undefined ? match : { ...match, format: kept.format, slowPath: [] };
    return [
      { selection, definition, target: as, existing: found, match: how, decision: answer.decision, ...rows },
    ];
  });
  // Rows of a backup may well go back to where they came from.
  if (input.from === undefined) findings.push(...ontoThemselves(tables));
  if (job.target.mode === 'replace') findings.push(...replacedTwice(tables));
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
  { job, from }: { readonly job: PrepareInput['job']; readonly from?: Store },
): Promise<DescribedSource> {
  const source = from ?? stores.get(job.source.store);
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

export interface WindowTime {
  readonly scheduledTime: string;
  readonly watermark: string | null;
}

type Selected = Pick<DescribedTable, 'selection' | 'definition'>;
type Rows = Pick<DescribedTable, 'window' | 'where' | 'filteredOnTarget'>;

/**
 * An append leaves out the windows that it has added before; what was written into one of them since then is in the
 * backup, and not brought over.
 */
function leftOutFindings(
  table: string,
  { window }: Pick<Rows, 'window'>,
  from: BackupSource | undefined,
): PreflightFinding[] {
  const begun = from?.kept.get(table)?.window ?? null;
  const cut = window?.from ?? null;
  if (begun === null || cut === null || (begun.from !== null && begun.from >= cut)) return [];
  if (from?.appended.get(table)?.some(({ to }) => to === cut) !== true) return [];
  return [
    {
      severity: 'warning',
      code: null,
      table,
      message: `The rows of ${table} before ${cut} were appended by an earlier run and are left out; rows that came into that time since then stay in the backup.`,
      cure: 'Use `mode: upsert`, or `replace`, where rows may come late.',
    },
  ];
}

/** Which rows are meant; of a backup, which of those that it has. */
function rowsOf(table: Selected, time: WindowTime, from: BackupSource | undefined): Rows | PreflightFinding {
  const name = displayName(table.definition.name);
  const kept = from?.kept.get(name);
  const window = windowOf(table, time);
  if (window !== null && 'severity' in window) return window;
  const asked = { window, where: table.selection.where ?? null };
  if (kept === undefined) return asked;
  const rows = restoredRows(kept, asked);
  if (rows !== null) return withoutEarlier(rows, from?.appended.get(name) ?? []);
  return {
    severity: 'error',
    code: 'source.columnMissing',
    table: name,
    message: `The backup holds a window on ${String(kept.window?.column)}; another one on ${String(window?.column)} cannot be cut out of it.`,
    cure: 'Name the column of the backup under `window.column`, or restore it whole.',
  };
}

/** The window of a table in literals of its column; null: none asked for. */
export function windowOf(
  { selection, definition }: Selected,
  time: WindowTime,
): WindowFilter | PreflightFinding | null {
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
  return { column: window.column, ...resolveWindow(window, { ...time, columnType }) };
}

/** Rows in a backup are as they are: all their columns travel, in the form they were written in. */
function keptFindings(kept: TablePlan, match: TableMatch): PreflightFinding[] {
  const table = displayName(kept.source);
  const same = JSON.stringify(kept.columns) === JSON.stringify(match.columns);
  // What is missing on the target was said already.
  if (!same && !match.findings.some((finding) => finding.severity === 'error')) {
    return [
      {
        severity: 'error',
        code: 'target.columnMissing',
        table,
        message: `The backup holds ${String(kept.columns.length)} columns of ${table}, of which the target takes ${String(match.columns.length)}: rows are restored with all of them or not at all.`,
        cure: 'Leave `columns` out of `restore.tables`, and let no column of the target be generated that was stored on the source.',
      },
    ];
  }
  if (kept.format !== 'binary' || match.format === 'binary') return [];
  return [
    {
      severity: 'error',
      code: 'target.typeMismatch',
      table,
      message: `Rows of ${table} are in the backup in binary form. ${match.slowPath.join(' ')}`,
      cure: 'Give the columns of the target the types of the source, or make the backup with `format: csv`.',
    },
  ];
}

function timeTypeOf(type: string): WindowColumnType | null {
  if (type === 'date') return 'date';
  const parts = /^timestamp(?:\(\d\))? (with|without) time zone$/.exec(type);
  if (parts === null) return null;
  return parts[1] === 'with' ? 'timestamptz' : 'timestamp';
}

/** What the load stores of a table, once with the plan. */
export function tablePlanOf(table: DescribedTable, ordinal: number): TablePlan {
  return {
    ordinal,
    source: table.definition.name,
    target: table.target,
    columns: table.match.columns,
    key: table.match.key,
    format: table.match.format,
    retyped: table.match.retyped,
    where: table.where,
    window: table.window,
    strategy: table.decision.strategy,
    ...(table.filteredOnTarget === true ? { filteredOnTarget: true } : {}),
  };
}
