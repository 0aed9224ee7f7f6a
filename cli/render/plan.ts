import type { BackupRestorePlan } from '../../definitions/contracts/backup-restore.ts';
import type { PlannedTable, PlanReport, PreflightFinding } from '../../definitions/contracts/copy.ts';
import type { ResolvedJob } from '../../definitions/contracts/job.ts';
import { routeOf } from '../client.ts';
import { bytesText, countText, plural } from './amounts.ts';
import { type Column, tableLines } from './table.ts';

export function planLines(job: ResolvedJob, report: PlanReport | BackupRestorePlan): string[] {
  const errors = report.findings.filter(({ severity }) => severity === 'error').length;
  return [
    `${job.kind}/${job.name}: ${routeOf(job)}${job.kind === 'copy' ? `, ${job.target.mode}` : ''}`,
    ...('stages' in report
      ? indented(tableLines(stageColumns, report.stages))
      : [`  ${plural(report.chunks, 'chunk')}, about ${bytesText(report.bytes)}`]),
    ...consistencyLines(job, report),
    ...(report.tables.length === 0 ? [] : indented(tableLines(columns, report.tables))),
    ...section(
      'slower than the fast path:',
      report.slowPath.map(({ table, reason }) => `${table}: ${reason}`),
    ),
    ...section('not carried to the target:', report.notCarried),
    ...report.findings.flatMap(findingLines),
    errors === 0
      ? '  preflight passed; nothing was written'
      : `  preflight refused: ${plural(errors, 'error')}; nothing was written`,
  ];
}

function consistencyLines(job: ResolvedJob, { consistency }: PlanReport): string[] {
  // What is moved or restored was read when the backup was made.
  if (job.kind === 'backup-restore' && !job.stages.includes('backup')) return [];
  if (job.kind === 'duplication')
    return [
      '  from `consistentAt` on, each target shows the source at one instant after the other, a moment behind',
    ];
  return [
    consistency === 'chunk'
      ? '  each chunk is read at an instant of its own; a row that moves between chunks meanwhile may be missed or doubled'
      : consistency === 'cut'
        ? '  all chunks show the source at one instant, by its log; no snapshot is held'
        : '  all chunks show the source at one instant',
  ];
}

const stageColumns: readonly Column<BackupRestorePlan['stages'][number]>[] = [
  { title: 'STAGE', text: ({ stage }) => stage },
  { title: 'FROM', text: ({ from }) => from },
  { title: 'TO', text: ({ to }) => to },
  { title: 'CHUNKS', right: true, text: ({ chunks }) => (chunks === null ? '?' : countText(chunks)) },
  { title: 'BYTES', right: true, text: ({ bytes }) => (bytes === null ? '?' : bytesText(bytes)) },
];

const columns: readonly Column<PlannedTable>[] = [
  { title: 'TABLE', text: ({ source, target }) => (source === target ? source : `${source} -> ${target}`) },
  { title: 'CHUNKS', right: true, text: ({ chunks }) => countText(chunks) },
  { title: 'SLICES', right: true, text: ({ slices }) => countText(slices) },
  { title: 'BYTES', right: true, text: ({ bytes }) => bytesText(bytes) },
  {
    title: 'ROWS',
    right: true,
    text: ({ rowsEstimate }) => (rowsEstimate < 0 ? '?' : countText(rowsEstimate)),
  },
  { title: 'FORMAT', text: ({ format }) => format },
  { title: 'STRATEGY', text: ({ strategy }) => strategy },
  { title: 'TARGET', text: ({ willCreate }) => (willCreate ? 'is created' : 'exists') },
];

/** One finding as `plan` and `run --wait` print it. */
export function findingLines({ severity, table, message, cure, code }: PreflightFinding): string[] {
  const where = table === null ? '' : `${table}: `;
  const line = `  ${severity}: ${where}${message}${code === null ? '' : ` (${code})`}`;
  return cure === null ? [line] : [line, `    cure: ${cure}`];
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [`  ${title}`, ...lines.map((line) => `    ${line}`)];
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}
