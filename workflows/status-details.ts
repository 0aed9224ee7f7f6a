import type { JobStatus, StageStatus } from '../definitions/contracts/status.ts';

/** Markdown for the UI's tab User Metadata. No HTML: the UI drops it. */
export function detailsOf(status: JobStatus, percent: number): string {
  const { chunks, rows } = status;
  const lines = [
    '| | |',
    '|---|---|',
    `| state | **${status.state}** (${phaseOf(status)}) |`,
    `| progress | ${percent} % |`,
    `| chunks | ${chunks.done} of ${chunks.total} done, ${chunks.inFlight} in flight, ${chunks.skipped} skipped |`,
    `| rows | ${rows.read} read, ${rows.written} written |`,
    `| bytes | ${megabytes(status.bytes)} of about ${megabytes(status.plannedBytes)} |`,
    `| on failure | ${status.onFailure.mode}, ${status.onFailure.attempts} attempts |`,
    `| started | ${status.startedAt} |`,
    ...stageLines(status.stages ?? []),
  ];
  if (status.reason !== null) {
    lines.push(
      '',
      `**${status.needsAttention ? 'Needs attention' : 'Note'}** ${code(status)}${status.reason}`,
    );
  }
  return lines.join('\n');
}

/** Of a kind with stages the figures are those of one of them. */
function phaseOf({ phase, stage }: JobStatus): string {
  return stage === undefined ? phase : `${stage}: ${phase}`;
}

function stageLines(stages: readonly StageStatus[]): string[] {
  if (stages.length === 0) return [];
  const rows = stages.map(
    ({ stage, state, backup, chunks, rows, bytes }) =>
      `| ${stage} | ${state} | ${chunks.done} of ${chunks.total} | ${chunks.skipped} | ${rows} | ${megabytes(bytes)} | ${backup ?? ''} |`,
  );
  const head = '| stage | state | chunks | skipped | rows | bytes | backup |';
  return ['', head, '|---|---|---|---|---|---|---|', ...rows];
}

function code(status: JobStatus): string {
  return status.reasonCode === null ? '' : `\`${status.reasonCode}\` `;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
