import type { PreflightFinding } from '../../definitions/contracts/copy.ts';
import type { ResolvedBackupRestoreJob } from '../../definitions/contracts/job.ts';
import { type ErrorCode, errorTable } from '../../definitions/errors.ts';
import { requireCapability, type Store } from '../../stores/spi/store.ts';
import { displayName } from '../../stores/spi/tables.ts';
import type { DescribedTable } from '../copy/describe-job.ts';
import { keptLogAddress, publishedFor } from './kept-log.ts';

interface ToCut {
  readonly job: ResolvedBackupRestoreJob;
  readonly tables: readonly DescribedTable[];
}

/** Whether the log of the source can bring these tables to one instant: it is there, and rows are told apart by a key. */
export async function cutFindings(
  source: Store,
  { job, tables }: ToCut,
): Promise<readonly PreflightFinding[]> {
  const log = requireCapability(source, 'logSource');
  return [
    ...(await log.readiness({ address: keptLogAddress(job), tables: publishedFor(tables) })),
    ...tables.flatMap(tableFindings),
  ];
}

function tableFindings({ definition, match }: DescribedTable): PreflightFinding[] {
  const table = displayName(definition.name);
  const { key } = definition;
  if (match.format !== 'binary')
    return [
      refusal('log.notReady', {
        table,
        message: `Rows of ${table} have no binary form to be told apart by.`,
      }),
    ];
  if (key === null)
    return [
      refusal('source.noKey', {
        table,
        message: `${table} has no key: its log cannot say which rows changed.`,
      }),
    ];
  const missing = key.filter((name) => !match.columns.includes(name));
  if (missing.length === 0) return [];
  const message = `Key column ${missing.join(', ')} of ${table} is not backed up: rows could not be told apart.`;
  return [refusal('log.notReady', { table, message, cure: 'Name it under `columns`.' })];
}

interface Refused {
  readonly table: string;
  readonly message: string;
  readonly cure?: string;
}

function refusal(code: ErrorCode, { table, message, cure }: Refused): PreflightFinding {
  return { severity: 'error', code, table, message, cure: cure ?? errorTable[code].cure };
}
