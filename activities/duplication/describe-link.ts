import type { PreflightFinding } from '../../definitions/contracts/copy.ts';
import { errorTable } from '../../definitions/errors.ts';
import type { PublishedTable } from '../../stores/spi/log.ts';
import { displayName, type TableDefinition } from '../../stores/spi/tables.ts';
import { describeJob, type DescribedJob, type DescribedTable } from '../copy/describe-job.ts';
import { checkLoad } from '../copy/prepare-copy.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import type { Link } from './link.ts';

/** A link held against both servers: as a copy, and as what its log has to carry. */
export interface DescribedLink {
  readonly described: DescribedJob;
  readonly tables: readonly DescribedTable[];
  readonly published: readonly PublishedTable[];
  readonly findings: readonly PreflightFinding[];
}

/** Reads only; every finding at once. */
export async function describeLink(dependencies: ActivityDependencies, link: Link): Promise<DescribedLink> {
  const request = loadRequestOf(link);
  const described = await describeJob(dependencies.stores, request);
  const tables = described.tables.map(cutForLog);
  const published = publishedTables(link, tables);
  const findings = [
    ...described.findings,
    ...(await checkLoad(described, request)),
    ...(await link.log.readiness({ address: link.address, tables: published })),
    ...tables.flatMap((table) => logFindings(link, table)),
  ];
  return { described: { ...described, tables }, tables, published, findings };
}

/** What a copy would be asked for; a link has no windows, so the time of a run says nothing. */
export function loadRequestOf({ loadJob, input }: Link) {
  return { job: loadJob, run: input.run, scheduledTime: new Date(0).toISOString() };
}

/**
 * Slices are read at different instants and meet before the log has made them one: that is only safe where the key decides
 * alone, and can be compared as the server does. Other tables are loaded chunk by chunk.
 */
function cutForLog(table: DescribedTable): DescribedTable {
  return isCuttable(table.definition) ? table : { ...table, decision: { ...table.decision, slices: false } };
}

function isCuttable({ key, columns, hasSecondaryUnique }: TableDefinition): boolean {
  if (key === null || hasSecondaryUnique) return false;
  return key.every((name) => columns.find((column) => column.name === name)?.comparesExactly === true);
}

function publishedTables({ input }: Link, tables: readonly DescribedTable[]): PublishedTable[] {
  const { keyless } = input.job.log;
  return tables.map(({ definition }) => ({
    table: definition.name,
    insertsOnly: keyless === 'insertsOnly' && definition.key === null,
  }));
}

function logFindings({ input }: Link, { definition, match }: DescribedTable): PreflightFinding[] {
  const table = displayName(definition.name);
  const findings: PreflightFinding[] = [];
  const { key } = definition;
  const missing = (key ?? []).filter((name) => !match.columns.includes(name));
  if (missing.length > 0) {
    const message = `Key column ${missing.join(', ')} of ${table} is not carried: a log could not find its rows.`;
    findings.push(refusal(table, message, 'Name it under `columns`.'));
  }
  if (key === null && input.job.log.keyless === 'insertsOnly') {
    const message = `${table} has no key: its inserts are followed; updates and deletes are not carried.`;
    findings.push({ severity: 'warning', code: null, table, message, cure: null });
  }
  if (!isCuttable(definition) && key !== null) {
    const why = definition.hasSecondaryUnique
      ? 'another unique constraint'
      : 'a key that only the server can compare';
    findings.push({
      severity: 'info',
      code: null,
      table,
      message: `${table} has ${why}: a partition of it is loaded as one, whatever its size.`,
      cure: null,
    });
  }
  return findings;
}

function refusal(table: string, message: string, cure?: string): PreflightFinding {
  const code = 'log.notReady';
  return { severity: 'error', code, table, message, cure: cure ?? errorTable[code].cure };
}
