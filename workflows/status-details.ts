import type { JobStatus } from '../definitions/contracts/status.ts';

/** Markdown for the UI's tab User Metadata. No HTML: the UI drops it. */
export function detailsOf(status: JobStatus, percent: number): string {
  const { chunks, rows } = status;
  const lines = [
    '| | |',
    '|---|---|',
    `| state | **${status.state}** (${status.phase}) |`,
    `| progress | ${percent} % |`,
    `| chunks | ${chunks.done} of ${chunks.total} done, ${chunks.inFlight} in flight, ${chunks.skipped} skipped |`,
    `| rows | ${rows.read} read, ${rows.written} written |`,
    `| bytes | ${megabytes(status.bytes)} of about ${megabytes(status.plannedBytes)} |`,
    `| on failure | ${status.onFailure.mode}, ${status.onFailure.attempts} attempts |`,
    `| started | ${status.startedAt} |`,
  ];
  if (status.reason !== null) {
    lines.push(
      '',
      `**${status.needsAttention ? 'Needs attention' : 'Note'}** ${code(status)}${status.reason}`,
    );
  }
  return lines.join('\n');
}

function code(status: JobStatus): string {
  return status.reasonCode === null ? '' : `\`${status.reasonCode}\` `;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
