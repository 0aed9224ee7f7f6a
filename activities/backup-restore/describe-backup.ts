import type { StageInput } from '../../definitions/contracts/backup-restore.ts';
import type { LoadRef, PreflightFinding } from '../../definitions/contracts/copy.ts';
import type { BackupFormat, TableSelection } from '../../definitions/contracts/job.ts';
import { errorTable, SynclineError } from '../../definitions/errors.ts';
import { nextWatermark } from '../../planning/window.ts';
import type { RowFormat } from '../../stores/spi/rows.ts';
import { requireCapability, type Store, type StoreProvider } from '../../stores/spi/store.ts';
import { displayName, type TableDefinition } from '../../stores/spi/tables.ts';
import { type DescribedTable, windowOf, type WindowTime } from '../copy/describe-job.ts';
import { nothingSelected } from '../copy/prepare-copy.ts';
import { targetOf } from '../ends.ts';
import { cutFindings } from './cut-findings.ts';
import { backupRef, openPlace, sourceSettings } from './places.ts';
import { vaultFindings } from './vault-findings.ts';

/** A backup before it is made: what would be read and how, and what stands in the way. */
export interface DescribedBackup {
  readonly ref: LoadRef;
  readonly source: Store;
  /** The backup to be made, opened. */
  readonly vault: Store;
  readonly tables: readonly DescribedTable[];
  readonly scope: 'full' | 'window';
  readonly findings: readonly PreflightFinding[];
}

/** Reads only, of the source and the vault. Every finding at once. */
export async function describeBackup(stores: StoreProvider, input: StageInput): Promise<DescribedBackup> {
  const { job, scheduledTime } = input;
  const ref = backupRef(input);
  const source = stores.get(ref.sourceStore);
  const vault = targetOf(stores, ref);
  const reader = requireCapability(source, 'tableReader');
  const described = await reader.describe(sourceSettings(job).tables);
  const findings = [...described.findings];
  const time = { scheduledTime, watermark: await watermarkOf(stores, input) };
  const tables: DescribedTable[] = [];
  for (const { selection, definition } of described.tables) {
    const table = describeTable({ selection, definition }, { time, format: job.backup.format });
    if ('severity' in table) findings.push(table);
    else if (tables.some((other) => displayName(other.target) === displayName(table.target)))
      findings.push(selectedTwice(table));
    else tables.push(table);
  }
  if (tables.length === 0 && findings.length === 0) findings.push(nothingSelected);
  findings.push(
    ...disagreeing(tables),
    ...(await reader.preflight(
      'source',
      tables.map((table) => table.definition.name),
    )),
    ...(await requireCapability(vault, 'tableReader').preflight('target', [])),
    ...(await vaultFindings(stores, { job, tables })),
    ...(job.backup.consistency === 'cut' ? await cutFindings(source, { job, tables }) : []),
  );
  const scope = tables.some((table) => table.window !== null) ? 'window' : 'full';
  return { ref, source, vault, tables, scope, findings };
}

/** How far the last verified run reached. It is kept with the vault: the place that the rows are safe at. */
export async function watermarkOf(stores: StoreProvider, { job }: StageInput): Promise<string | null> {
  const vault = openPlace(stores, job.backup);
  return await requireCapability(vault, 'loadLedger').watermarks.get(job.name);
}

interface HowToRead {
  readonly time: WindowTime;
  readonly format: BackupFormat;
}

/** The same description as that of a copy, into a target that takes everything as it is. */
function describeTable(
  table: { readonly selection: TableSelection; readonly definition: TableDefinition },
  { time, format: asked }: HowToRead,
): DescribedTable | PreflightFinding {
  const { selection, definition } = table;
  const window = windowOf(table, time);
  if (window !== null && 'severity' in window) return window;
  const copied = definition.columns.filter(
    (column) => !column.generated && (selection.columns?.includes(column.name) ?? true),
  );
  const unsafe = copied.filter((column) => !column.binarySafe);
  // CSV has no way to say how many rows of nothing there are.
  const isCsv = asked === 'csv' && copied.length > 0;
  const format: RowFormat = isCsv ? 'csv' : unsafe.length === 0 ? 'binary' : 'text';
  const reasons = unsafe.map(
    (column) => `column ${column.name} (${column.type}) has no faithful binary form`,
  );
  return {
    selection,
    definition,
    target: definition.name,
    existing: null,
    match: {
      columns: copied.map((column) => column.name),
      key: definition.key,
      format,
      retyped: [],
      // Bounds are kept of every chunk: a restore may have to route its rows.
      leaves: definition.leaves.map(({ name }) => ({
        source: name,
        target: name,
        routed: true,
        toCreate: false,
      })),
      create: false,
      findings: [],
      slowPath: format === 'text' ? [`Rows travel as text: ${reasons.slice(0, 5).join('; ')}.`] : [],
    },
    decision: { strategy: 'object', slices: true, reason: null },
    window,
    where: selection.where ?? null,
  };
}

/** Tables that begin at the watermark must reach equally far, or the next run would miss rows of some. */
function disagreeing(tables: readonly DescribedTable[]): PreflightFinding[] {
  try {
    nextWatermark(windowsOf(tables));
    return [];
  } catch (error) {
    if (!(error instanceof SynclineError)) throw error;
    return [{ severity: 'error', code: error.code, table: null, message: error.message, cure: error.cure }];
  }
}

export function windowsOf(tables: readonly DescribedTable[]): Parameters<typeof nextWatermark>[0] {
  return tables.flatMap(({ selection, window }) =>
    selection.window === undefined || window === null ? [] : [{ rule: selection.window, resolved: window }],
  );
}

function selectedTwice({ definition }: DescribedTable): PreflightFinding {
  const table = displayName(definition.name);
  return {
    severity: 'error',
    code: 'definition.invalid',
    table,
    message: `Table ${table} is selected twice: a backup holds each table once.`,
    cure: errorTable['definition.invalid'].cure,
  };
}
