import { errorTable, isErrorCode } from '../../definitions/errors.ts';
import type { BackupSummary } from '../../stores/spi/artifact.ts';
import type { TablePlan } from '../../stores/spi/chunk-source.ts';
import { displayName } from '../../stores/spi/tables.ts';
import type { BadObject, VerifiedBackup } from '../backups/verify.ts';
import { bytesText, countText, plural } from './amounts.ts';
import { type Column, tableLines } from './table.ts';

export interface BrokenBackup {
  readonly backup: string;
  readonly code: string;
  readonly message: string;
}

export function listLines(backups: readonly BackupSummary[], broken: readonly BrokenBackup[]): string[] {
  return [
    ...(backups.length === 0 ? [] : tableLines(columns, backups)),
    ...broken.flatMap(({ backup, code, message }) => [
      `BROKEN ${backup}: ${message} (${code})`,
      ...cureLines(code),
    ]),
    plural(backups.length, 'backup'),
  ];
}

const columns: readonly Column<BackupSummary>[] = [
  { title: 'BACKUP', text: ({ backup }) => backup },
  { title: 'JOB', text: ({ job }) => job },
  { title: 'SCOPE', text: ({ scope }) => scope },
  { title: 'CHUNKS', right: true, text: ({ chunks }) => countText(chunks) },
  { title: 'ROWS', right: true, text: ({ rows }) => countText(rows) },
  { title: 'STORED', right: true, text: ({ storedBytes }) => bytesText(storedBytes) },
  { title: 'REFERRED', right: true, text: ({ referredBytes }) => bytesText(referredBytes) },
  { title: 'KEY', text: ({ keyId }) => keyId ?? '-' },
  { title: 'CREATED', text: ({ createdAt }) => createdAt },
];

export function backupLines(summary: BackupSummary, plans: readonly TablePlan[]): string[] {
  const { storedBytes, referredBytes, basedOn, skippedUnits = 0 } = summary;
  const windows = summary.windows.map(
    ({ table, window }) =>
      `  window       ${table}: ${window.column} in [${window.from ?? '-∞'}, ${window.to ?? '∞'})`,
  );
  return [
    `${summary.backup}: ${summary.scope} backup of job ${summary.job}`,
    `  created      ${summary.createdAt}, due ${summary.scheduledTime}`,
    `  rows         ${countText(summary.rows)} in ${plural(summary.chunks, 'chunk')}, ${bytesText(summary.bytes)}`,
    `  stored       ${bytesText(storedBytes)} of its own, ${bytesText(referredBytes)} of earlier backups`,
    `  based on     ${basedOn ?? 'nothing'}`,
    `  compression  ${summary.compression}`,
    `  encryption   ${summary.keyId === null ? 'none' : `AES-256-GCM, key ${summary.keyId}`}`,
    `  consistency  ${summary.consistency}`,
    ...windows,
    ...(skippedUnits === 0
      ? []
      : [`  NOT WHOLE    ${plural(skippedUnits, 'unit')} set aside when it was made`]),
    ...tableLines(tableColumns, plans).map((line) => `  ${line}`),
  ];
}

const tableColumns: readonly Column<TablePlan>[] = [
  { title: 'TABLE', text: ({ source }) => displayName(source) },
  { title: 'COLUMNS', right: true, text: ({ columns: names }) => countText(names.length) },
  { title: 'FORMAT', text: ({ format }) => format },
];

export function verifiedLines({ backup, objects, bytes, rows, bad }: VerifiedBackup): string[] {
  const looked = `${plural(objects, 'object')}, ${bytesText(bytes)}`;
  if (bad.length > 0) return [`BAD  ${backup}: ${looked}`, ...bad.flatMap(badLines)];
  return [`ok   ${backup}: ${looked}${rows === null ? ', hashed' : `, ${plural(rows, 'row')} read`}`];
}

function badLines({ object, chunk, code, message }: BadObject): string[] {
  const whose = chunk === null ? '' : ` (${chunk})`;
  const what = object === null ? `${message}${whose}` : `${object}${whose}: ${message}`;
  return [`     ${what} (${code})`, ...cureLines(code).map((line) => `     ${line.trim()}`)];
}

function cureLines(code: string): string[] {
  return isErrorCode(code) ? [`       cure: ${errorTable[code].cure}`] : [];
}
