import type { PreflightFinding } from '../../../definitions/contracts/copy.ts';
import type { TableSelection } from '../../../definitions/contracts/job.ts';
import { type ErrorCode, errorTable } from '../../../definitions/errors.ts';
import { displayName, type DescribedTables, type TableReader } from '../../spi/tables.ts';
import type { Artifact } from '../artifact.ts';
import type { PublishedTable } from '../backup/kept-tables.ts';
import { ownerKey } from '../objects/layout.ts';
import { namePattern } from './table-pattern.ts';

/** Describes the tables of a backup as they were when it was made. */
export function createTableReader(artifact: Artifact): TableReader {
  const tables = async (): Promise<readonly PublishedTable[]> =>
    await (await artifact.published(artifact.backup())).tables();
  return {
    describe: async (selections) => describe(await tables(), selections),
    async find(names) {
      const known = new Map(
        (await tables()).map(({ definition }) => [displayName(definition.name), definition]),
      );
      return names.map((name) => known.get(displayName(name)) ?? null);
    },
    preflight: (role) => (role === 'source' ? sourceFindings(artifact) : targetFindings(artifact)),
  };
}

/** A table that an entry without wildcard names takes only such entries. */
function describe(tables: readonly PublishedTable[], selections: readonly TableSelection[]): DescribedTables {
  const findings: PreflightFinding[] = [];
  const matched = selections.flatMap((selection) => {
    const pattern = namePattern(selection.pattern);
    const found = tables
      .filter(({ definition }) => pattern.matches(definition.name))
      .sort((one, other) => (shown(one) < shown(other) ? -1 : 1));
    if (found.length === 0) findings.push(nothingMatches(selection));
    return found.map((table) => ({ selection, table, isNamed: !pattern.hasWildcard }));
  });
  const named = new Set(matched.filter(({ isNamed }) => isNamed).map(({ table }) => table));
  const seen = new Set<PublishedTable>();
  const taken = matched.filter(({ table, isNamed }) => {
    if (seen.has(table) || (!isNamed && named.has(table))) return false;
    seen.add(table);
    return true;
  });
  findings.push(...taken.flatMap(({ selection, table }) => columnFindings(selection, table)));
  return {
    tables: taken.map(({ selection, table }) => ({ selection, definition: table.definition })),
    findings,
  };
}

function shown({ definition }: PublishedTable): string {
  return displayName(definition.name);
}

function nothingMatches({ pattern }: TableSelection): PreflightFinding {
  return findingOf('source.tableMissing', pattern, `The backup holds no table ${pattern}.`);
}

function columnFindings(selection: TableSelection, table: PublishedTable): PreflightFinding[] {
  const known = new Set(table.definition.columns.map((column) => column.name));
  const asked = [
    ...(selection.columns ?? []),
    ...(selection.window === undefined ? [] : [selection.window.column]),
  ];
  const name = shown(table);
  const missing = [...new Set(asked)].filter((column) => !known.has(column));
  return missing.map((column) =>
    findingOf('source.columnMissing', name, `Table ${name} has no column ${column} in the backup.`),
  );
}

function findingOf(code: ErrorCode, table: string, message: string): PreflightFinding {
  return { severity: 'error', code, table, message, cure: errorTable[code].cure };
}

/** Whether the objects are there is looked at through the catalogue, one by one. */
async function sourceFindings(artifact: Artifact): Promise<PreflightFinding[]> {
  const { manifest } = await artifact.published(artifact.backup());
  const { units, named } = manifest.skipped;
  if (units === 0) return [];
  const chunks = [...new Set(named.map(({ chunk }) => chunk))];
  const some = chunks.slice(0, 10).join(', ');
  const more = chunks.length > 10 ? ', …' : '';
  const message = `Backup ${manifest.backup} was made with ${String(units)} units set aside; these chunks are not restored: ${some}${more}.`;
  return [
    { severity: 'warning', code: null, table: null, message, cure: 'Restore them from an earlier backup.' },
  ];
}

/** Whose path it is shows when the backup begins; here, whether it is one at all. */
async function targetFindings(artifact: Artifact): Promise<PreflightFinding[]> {
  const { place } = artifact;
  if ((await place.stat(ownerKey)) !== null) return [];
  for await (const { key } of place.list('')) {
    const code = 'artifact.foreign';
    const message = `Path ${place.path} of store ${place.store} holds ${key}, and no backups of syncline.`;
    return [{ severity: 'error', code, table: null, message, cure: errorTable[code].cure }];
  }
  return [];
}
